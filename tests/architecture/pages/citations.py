"""Citations of documents in comments and docstrings, and what there is to cite."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.sources import ROOT

DOCUMENTS = [ROOT / "docs" / "wecom-api.md", *sorted((ROOT / "docs" / "wecom-api").glob("*.md"))]

ID = r"(?:[A-K]\d{0,2}|0b?|1)(?!\w)"
WECOM_API = re.compile(
    rf"wecom-api(?![./*])\s*(?P<sections>{ID}(?:\s*[,-]\s*{ID})*)?(?P<codes>(?:,\s*\d{{5,6}})*)"
)
# Only what stands alone between brackets: A4 may be paper, and "(C1 controls)" are characters.
NAMELESS = re.compile(r"\((?P<sections>[A-K]\d{1,2}(?:\s*[,-]\s*[A-K]\d{1,2})*)\s*[);:]")
PAGE = re.compile(r"\bdoc\s+(?P<page>\d{5,})")
RULE = re.compile(r"(?P<engine>\bengine\s+)?\brule\s+(?P<number>\d+)", re.IGNORECASE)
PROMISE = re.compile(r"\bpromise\s+(?P<number>\d+)", re.IGNORECASE)
FILE = re.compile(r"[\w./-]*\w\.md\b")


@dataclass(frozen=True)
class Cited:
    """What there is to cite."""

    sections: tuple[str, ...] = ()
    codes: frozenset[str] = frozenset()
    pages: frozenset[str] = frozenset()
    engine_rules: frozenset[str] = frozenset()
    promises: frozenset[str] = frozenset()


def what_there_is() -> Cited:
    """Read docs/wecom-api* and the heads of the engine and of the event log."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    table = re.search(r"^## D\. .*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    return Cited(
        sections=tuple(re.findall(r"^#+ ([A-K]\d{0,2}|0b?|1)\. ", text, re.MULTILINE)),
        codes=frozenset(re.findall(r"\b\d{5,6}\b", table[0] if table else "")),
        pages=frozenset(re.findall(r"document/path/(\d+)", text)),
        engine_rules=rules_of(docstring_with("Rule 10. ")),
        promises=frozenset(re.findall(r"^(\d+)\. ", docstring_with("What a log promises"), re.MULTILINE)),
    )


def docstring_with(words: str) -> str:
    """Return the docstring of the one module of the broker that has these words in it."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "broker").rglob("*.py"))
    modules = [ast.parse(source) for source in sources if words in source]
    (found,) = [text for module in modules if words in (text := ast.get_docstring(module) or "")]
    return found


def rules_of(text: str) -> frozenset[str]:
    """Return the numbers of the rules that a module begins with."""
    return frozenset(re.findall(r"^Rule (\d+)[.:]", text, re.MULTILINE))


Fault = tuple[int, str]
"""Where in a text a citation leads nowhere, and why."""


def faults(
    text: str, cited: Cited, *, own_rules: frozenset[str] = frozenset(), beside: Path = ROOT
) -> Iterator[Fault]:
    """Yield what is wrong with a remark; its module has `own_rules` and lies in the folder `beside`."""
    yield from wecom_faults(text, cited)
    yield from rule_faults(text, cited, own_rules)
    for found in FILE.finditer(text):
        if not any((folder / found[0]).exists() for folder in (ROOT, ROOT / "docs", beside)):
            yield found.start(), f"there is no file {found[0]}"


def wecom_faults(text: str, cited: Cited) -> Iterator[Fault]:
    """Yield facts about WeCom that docs/wecom-api* do not have, or that do not name their document."""
    for found in WECOM_API.finditer(text):
        if not found["sections"]:
            yield found.start(), 'wecom-api without a section: say "wecom-api A4"'
        for section in sections_in(found["sections"] or ""):
            if section not in cited.sections:
                yield found.start(), f"docs/wecom-api* have no section {section}"
        for code in re.findall(r"\d+", found["codes"]):
            if code not in cited.codes:
                yield found.start(), f"docs/wecom-api* D has no code {code}"
    for found in NAMELESS.finditer(text):
        yield found.start(), f'({found["sections"]}) of what? Say "wecom-api {found["sections"]}"'
    for found in PAGE.finditer(text):
        if found["page"] not in cited.pages:
            yield found.start(), f"docs/wecom-api* link no page {found['page']}"


def rule_faults(text: str, cited: Cited, own_rules: frozenset[str]) -> Iterator[Fault]:
    """Yield rules and promises that nothing begins with."""
    for found in RULE.finditer(text):
        if found["engine"] and found["number"] not in cited.engine_rules:
            yield found.start(), f"the engine has no rule {found['number']}"
        elif not found["engine"] and found["number"] not in own_rules:
            yield found.start(), f'rule {found["number"]} of what? Say "engine rule {found["number"]}"'
    for found in PROMISE.finditer(text):
        if found["number"] not in cited.promises:
            yield found.start(), f"the event log makes no promise {found['number']}"


def sections_in(text: str) -> Iterator[str]:
    """Yield each section of "A1, A3-A5"."""
    for part in re.findall(rf"{ID}(?:\s*-\s*{ID})?", text):
        first, _, last = re.sub(r"\s", "", part).partition("-")
        if last:
            yield from (f"{first[0]}{number}" for number in range(int(first[1:]), int(last[1:]) + 1))
        else:
            yield first
