"""Everything that the page and the diagnosis say is said in both languages, with the same gaps."""

import ast
import re
from collections.abc import Iterator
from string import Formatter

from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKind, Freshness
from broker.protocol.error_codes import ANSWERED
from broker.server.diagnosis.finding import Level
from broker.server.diagnosis.words import translations
from broker.server.http.console import problems, rows
from broker.usecases.refusals.remedies import OF_PERMANENT_CODES, OF_PROVIDERS, REMEDIES
from broker.usecases.replicas import cures
from tests.architecture.sources import ROOT

CHINESE = translations("chinese")
PYTHON = [
    *(ROOT / "broker/server/diagnosis").glob("*.py"),
    *(ROOT / "broker/server/http/console").glob("*.py"),
]
TEMPLATES = list((ROOT / "broker/server/http/console").glob("*.html"))
IN_TEMPLATE = re.compile(r'\bsay\("([^"]+)"')
HEADS = re.compile(r"heads\(\[(.*?)\]")


def said() -> Iterator[str]:
    """Yield each sentence that the code says."""
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "say"
            ):
                (sentence, *_) = node.args
                if isinstance(sentence, ast.Constant):
                    yield sentence.value
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        yield from IN_TEMPLATE.findall(text)
        for heads in HEADS.findall(text):
            yield from re.findall(r'"([^"]+)"', heads)
    for kinds in (REMEDIES, OF_PROVIDERS, OF_PERMANENT_CODES):
        yield from kinds.values()
    for remedies in problems.REMEDIES.values():
        yield from remedies.values()
    yield from (f"{cure}; {cures.STAY}" for _, cure in cures.STORE)
    yield f"{cures.STORE_OTHERWISE}; {cures.STAY}"
    yield from (cure for _, cure in cures.WECOM)
    yield cures.WECOM_OTHERWISE
    yield from ("look at the audit trail: wecom-broker audit", "look at the broker's log")
    yield "see the other lines, and the log"
    yield ANSWERED
    yield from ("d", "h", "min", "s", rows.MISSING, rows.REFUSED)
    yield from Level
    yield from CredentialKind
    yield from (kind for kind in ShareKind if kind is not ShareKind.OWN)
    yield from (state.name.lower().replace("_", " ") for state in Freshness)


def gaps(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_each_sentence_has_a_translation_and_none_is_left_over() -> None:
    assert sorted(set(said())) == sorted(CHINESE)


def test_a_translation_has_the_same_gaps() -> None:
    assert {} == {
        sentence: chinese for sentence, chinese in CHINESE.items() if gaps(sentence) != gaps(chinese)
    }
