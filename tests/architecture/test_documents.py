"""The pages under docs/ lead where they say: files, headings, and WeCom's pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, named

PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


def text_of(page: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere in this repository."""
    for found in LINK.finditer(text_of(page)):
        target = (page.parent / found["path"]).resolve() if found["path"] else page
        if not target.exists() or (found["anchor"] and found["anchor"] not in anchors(target)):
            yield found[0]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [] == list(broken(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_page_of_wecom_that_is_named_is_linked(page: Path) -> None:
    text = text_of(page)
    linked = re.findall(r"^\[(\d+)\]: \S+/document/path/\1$", text, re.MULTILINE)

    assert sorted(set(linked)) == sorted(linked)
    assert set(re.findall(r"\[(\d{5,6})\](?!:)", text)) == set(linked)


def test_every_decision_has_a_row_in_the_index_and_fits_on_a_page() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    notes = sorted((ROOT / "docs" / "decisions").glob("0*.md"))

    assert re.findall(r"\]\((0.+\.md)\)", index) == [note.name for note in notes]
    for note in notes:
        text = note.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Cost"]
        assert len(text.splitlines()) <= 40
