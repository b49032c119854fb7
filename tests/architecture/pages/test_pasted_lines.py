"""What a page shows for a shell reaches the programs alike in bash and in zsh, pasted at a prompt.

The programs are functions that note their arguments. What a shell makes of brackets, `!` or a comment behind
a command shows there: zsh has no comments at a prompt.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.pages.documents import PAGES, blocks
from tests.architecture.sources import named

SHELLS = {"bash": ["--norc", "--noprofile", "-i", "-s"], "zsh": ["-f", "-i", "-s"]}
"""Interactive, and without anybody's settings."""
SHOWN = [
    (f"{named(page)}-{number}", code)
    for page in PAGES
    for number, (language, code) in enumerate(blocks(page))
    if language == "sh"
]
NOTE = r"""note() { local IFS=$'\t'; builtin printf '%s\n' "$*" >> "$NOTES"; }"""
PROGRAM = re.compile(
    r"(?P<before>^|\| |\$\()(?P<folder>[\w./-]*/)?(?P<name>[a-z][\w.-]*)(?= |$)", re.MULTILINE
)


def program_of(shell: str) -> str:
    if not (program := shutil.which(shell)):
        pytest.skip(f"{shell} is not here: Debian's package {shell}")
    return program


def noted(shell: str, code: str, folder: Path) -> tuple[list[list[str]], str]:
    """Return the words of each command that a shell runs, and what it says itself."""
    found = [*PROGRAM.finditer(code)]
    functions = [f'{name}() {{ note {name} "$@"; }}' for name in sorted({match["name"] for match in found})]
    # A function's name has no folder.
    code = PROGRAM.sub(r"\g<before>\g<name>", code)
    notes = folder / shell
    notes.touch()
    done = subprocess.run(
        [program_of(shell), *SHELLS[shell]],
        input="\n".join([NOTE, *functions, code, "builtin printf 'it went on\\n'", ""]),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={
            "NOTES": str(notes),
            "PATH": "",
            "HOME": str(folder),
            "PWD": str(folder),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        },
        cwd=folder,
    )
    assert "it went on" in done.stdout, done.stderr
    complaints = re.findall(
        r"(?:no matches found|not found|parse error|syntax error|unexpected).*", done.stderr
    )
    # The programs of a pipe run side by side.
    return sorted(line.split("\t") for line in notes.read_text().splitlines()), "; ".join(complaints)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("place", "code"), SHOWN, ids=[place for place, _ in SHOWN])
def test_all_of_it_reaches_the_programs(shell: str, place: str, code: str, tmp_path: Path) -> None:
    words, complaints = noted(shell, code, tmp_path)

    assert "" == complaints
    assert len(PROGRAM.findall(code)) == len(words)
    assert not any(word.startswith("#") for command in words for word in command), "a remark in zsh"


@pytest.mark.parametrize(("place", "code"), SHOWN, ids=[place for place, _ in SHOWN])
def test_both_shells_make_the_same_of_it(place: str, code: str, tmp_path: Path) -> None:
    assert noted("bash", code, tmp_path)[0] == noted("zsh", code, tmp_path)[0]


@pytest.mark.parametrize(
    "code",
    [
        "grpcurl localhost:1 list [server]\n",
        "wecom-broker status  # of this replica\n",
        'wecom-broker token get "a!b"\n',
    ],
    ids=["brackets", "a remark", "an exclamation mark"],
)
def test_what_zsh_would_not_take_is_found(code: str, tmp_path: Path) -> None:
    words, complaints = noted("zsh", code, tmp_path)

    assert complaints or any(word.startswith("#") for command in words for word in command)
