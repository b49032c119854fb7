"""Each command that a page names exists: targets of make, and commands of wecom-broker with their options."""

import re
from pathlib import Path

import click
import pytest

from broker.cli import main
from tests.architecture.pages.documents import PAGES, commands
from tests.architecture.sources import ROOT, named

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PROGRAM = re.compile(r"(\S*/)?wecom-broker")


def problem_of(words: list[str]) -> str | None:
    """Return what is wrong with a command; None if it exists, or is not ours."""
    if words[0] == "make":
        unknown = [word for word in words[1:] if re.fullmatch("[a-z-]+", word) and word not in TARGETS]
        return f"make {unknown[0]}" if unknown else None
    if not PROGRAM.fullmatch(words[0]) or len(words) == 1:
        return None
    command: click.Command = main
    path, rest = "wecom-broker", words[1:]
    while rest and isinstance(command, click.Group):
        if re.fullmatch(r"-h|--help|--version", rest[0]):
            return None
        # "events dead|retry" names two.
        found = [command.get_command(click.Context(command), name) for name in rest[0].split("|")]
        path = f"{path} {rest.pop(0)}"
        if None in found:
            return path
        command = next(filter(None, found))
    options = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
    return f"{path} {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    assert [] == [problem for words in commands(page) if (problem := problem_of(words))]


@pytest.mark.parametrize(
    "words",
    [
        "make demmo",
        "wecom-broker tokn get",
        "wecom-broker token gett",
        "wecom-broker token get --crop ww1",
    ],
)
def test_a_command_that_does_not_exist_is_found(words: str) -> None:
    assert problem_of(words.split())
