"""docs/security.md: each claim has tests that hold it, and each kind of attacker a row."""

import re

from tests.architecture.pages.documents import rows, section
from tests.architecture.sources import ROOT

PAGE = ROOT / "docs" / "security.md"
TEST = re.compile(r"`(tests/[\w/]+(?:\.py)?)`")


def test_each_claim_names_tests_that_there_are() -> None:
    claims = list(rows(section(PAGE, "Claims and their tests")))[1:]

    assert len(claims) > 50
    for claim, how, tests in claims:
        named = TEST.findall(tests)
        assert how, claim
        assert named, claim
        for name in named:
            path = ROOT / name
            found = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
            assert any("def test_" in file.read_text(encoding="utf-8") for file in found), f"{claim}: {name}"


def test_each_kind_of_attacker_has_a_row() -> None:
    who = " | ".join(cells[0] for cells in rows(section(PAGE, "Who is trusted with what")))

    for attacker in (
        "a caller",
        "a neighbour on the host",
        "whoever reaches the callback URL",
        "whoever reads the store",
        "whoever writes to the store",
    ):
        assert attacker in who, attacker
