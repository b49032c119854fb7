"""The pages that people read, and what stands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import PYTHON_CLIENT, ROOT

README = ROOT / "README.md"
CHINESE_README = ROOT / "README.zh-CN.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        PYTHON_CLIENT / "README.md",
        ROOT / "tests" / "README.md",
    ]
)
FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
INLINE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
VARIABLES = re.compile(r"\w+=\S*")


def text_of(page: Path) -> str:
    """Return a page without its code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page, each with its language."""
    return FENCED.findall(page.read_text(encoding="utf-8"))


def titles(page: Path, level: int) -> list[str]:
    """Return the headings of one level."""
    return [title for marks, title in HEADING.findall(text_of(page)) if len(marks) == level]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(page: Path, title: str) -> str:
    """Return the text below a heading, until the next one of its level."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no section {title!r}"
    return found[2]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without their heads."""
    for line in re.findall(r"^\|(.+)\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if not re.fullmatch(r":?-+:?", cells[0]):
            yield cells


def first_words(text: str) -> list[str]:
    """Return the code that the rows of the tables in a text begin with."""
    return [found[1] for cells in rows(text) if (found := re.fullmatch(r"`([^`]+)`", cells[0]))]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command that a page shows or names, without the variables before it."""
    shown = [line for language, code in blocks(page) if language == "sh" for line in code.splitlines()]
    # An indented line is code too, on pages that have no fences.
    shown += re.findall(r"^ {4}(\S.*)$", text_of(page), re.MULTILINE)
    for line in [*shown, *INLINE.findall(text_of(page))]:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        while words and VARIABLES.fullmatch(words[0]):
            del words[0]
        if words:
            yield words
