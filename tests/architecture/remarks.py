"""What is said beside the code: docstrings and comments."""

import io
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.architecture.sources import GENERATED, ROOT

FOLDERS = ("broker", "clients", "tests", "bench", "deploy", "protos", "docs")
OTHER_SOURCES = {
    ".md",
    ".lua",
    ".sql",
    ".proto",
    ".toml",
    ".yaml",
    ".cfg",
    ".service",
    ".sh",
    ".go",
    ".js",
    ".ts",
}
"""Read as a whole: what is cited in a string there is cited too."""
NOT_CODE = {tokenize.COMMENT, tokenize.NL}
LINE_BEGINS_AFTER = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


@dataclass(frozen=True)
class Remark:
    """A docstring, or comment lines that follow each other."""

    path: Path
    line: int
    text: str

    def line_of(self, position: int) -> int:
        """Return the line of its file in which that part of the text stands."""
        return self.line + self.text.count("\n", 0, position)


def remarks(*, without: Collection[Path]) -> Iterator[Remark]:
    """Yield all remarks of the repository's sources and documents, but for those files and folders."""
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*")):
        if GENERATED in path.parents or {path, path.parent} & set(without):
            continue
        if path.suffix == ".py":
            yield from python_remarks(path, path.read_text(encoding="utf-8"))
        elif path.suffix in OTHER_SOURCES:
            yield Remark(path, 1, path.read_text(encoding="utf-8"))


def python_remarks(path: Path, source: str) -> Iterator[Remark]:
    """Yield the docstrings of a module, also those of attributes, then its comments."""
    comments = []
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.append(token)
        elif token.type == tokenize.STRING and begins:
            yield Remark(path, token.start[0], token.string)
        if token.type not in NOT_CODE:
            begins = token.type in LINE_BEGINS_AFTER
    for _, together in groupby(enumerate(comments), lambda numbered: numbered[1].start[0] - numbered[0]):
        block = [token for _, token in together]
        yield Remark(path, block[0].start[0], "\n".join(token.string.lstrip("# ") for token in block))
