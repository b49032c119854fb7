"""Pages lead where they say: to files, headings, names in the code, and WeCom's pages."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.pages.documents import INLINE, LINK, PAGES, anchors, rows, text_of
from tests.architecture.sources import ROOT, named

PATH = re.compile(r"(?:broker|bench|clients|deploy|docs(?!/wecom/)|protos|tests|\.ci|\.github)/[\w./*-]+")
"""A path from the root of this repository; `*` stands for any name. `docs/wecom/` is another repository's."""
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def broken(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere in this repository."""
    for found in LINK.finditer(text_of(page)):
        target = (page.parent / found["path"]).resolve() if found["path"] else page
        if not target.exists() or (found["anchor"] and found["anchor"] not in anchors(target)):
            yield found[0]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [] == list(broken(page))


def missing(page: Path) -> Iterator[str]:
    """Yield the paths in a page's text that nothing in this repository has."""
    for path in filter(PATH.fullmatch, INLINE.findall(text_of(page))):
        if not any(ROOT.glob(path.rstrip("/"))):
            yield path


def defined_in(module: Path) -> set[str]:
    """Return what a module defines at its top and in its classes: `Name`, `Class.name`."""
    found = set()

    def walk(body: list[ast.stmt], above: str) -> None:
        for node in body:
            match node:
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    found.add(above + node.name)
                    if isinstance(node, ast.ClassDef):
                        walk(node.body, f"{node.name}.")
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(above + name)

    walk(ast.parse(module.read_text(encoding="utf-8")).body, "")
    return found


def unknown_names(page: Path) -> Iterator[str]:
    """Yield the names in the cell after a module's that the module does not define."""
    for cells in rows(text_of(page)):
        for place, what in pairwise(cells):
            if re.fullmatch(r"`(broker|tests)/\S+\.py`", place):
                names = set(filter(NAME.fullmatch, INLINE.findall(what)))
                yield from (f"{place}: {name}" for name in names - defined_in(ROOT / place.strip("`")))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert [] == list(missing(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_name_beside_a_module_is_defined_in_it(page: Path) -> None:
    assert [] == list(unknown_names(page))


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
