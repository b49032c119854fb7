"""Whatever a comment or docstring cites is in this repository.

"wecom-api A2" is a heading of docs/wecom-api*, "wecom-api D, 60020" a row of its table of codes, "doc 91022"
a page that it links; "engine rule 7" stands at the head of the engine, "promise 3" at that of the event log.
Only a module that begins with rules of its own may say "rule 2".
"""

from pathlib import Path

import pytest

from tests.architecture.pages.citations import DOCUMENTS, WECOM_API, Cited, faults, rules_of, what_there_is
from tests.architecture.remarks import python_remarks, remarks
from tests.architecture.sources import ROOT, named

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cited() -> Cited:
    return what_there_is()


@pytest.mark.slow
def test_every_citation_leads_somewhere(cited: Cited) -> None:
    # The examples in this folder lead nowhere on purpose; WeCom's facts are what is cited.
    said = list(remarks(without=[HERE, *DOCUMENTS]))
    rules = {remark.path: rules_of(remark.text) for remark in said if remark.line == 1}

    lost = [
        f"{named(remark.path)}:{remark.line_of(at)}: {why}"
        for remark in said
        for at, why in faults(
            remark.text, cited, own_rules=rules.get(remark.path, frozenset()), beside=remark.path.parent
        )
    ]

    assert sum(len(WECOM_API.findall(remark.text)) for remark in said) > 50
    assert not lost, "\n".join(["citations that lead nowhere:", *lost])


def test_no_two_sections_have_one_id(cited: Cited) -> None:
    assert sorted(set(cited.sections)) == sorted(cited.sections)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The corp's ticket (wecom-api A40).", "no section A40"),
        ("Both (wecom-api A4,\n    A99; doc 90506).", "no section A99"),
        ("All of it (wecom-api C1-C7).", "no section C6"),
        ("A trap (wecom-api C4, G99).", "no section G99"),
        ("Not trusted (wecom-api D, 60029).", "no code 60029"),
        ("As wecom-api says.", "without a section"),
        ("The ticket of the token's app (A5).", 'Say "wecom-api A5"'),
        ("Fetch any of them (A1, A3-A5; since then).", 'Say "wecom-api A1, A3-A5"'),
        ("The link (doc 12345).", "no page 12345"),
        ("Waits (engine rule 11).", "the engine has no rule 11"),
        ("Waits (rule 3).", 'Say "engine rule 3"'),
        ("Dropped (promise 12).", "no promise 12"),
        ("See nowhere.md for it.", "no file nowhere.md"),
    ],
)
def test_a_citation_that_leads_nowhere_is_told(cited: Cited, text: str, why: str) -> None:
    assert why in "".join(reason for _, reason in faults(text, cited))


@pytest.mark.parametrize(
    "text",
    [
        "The corp's ticket (wecom-api A4) and its limit (wecom-api D, 45009; wecom-api E).",
        "wecom-api E: each corp, per single API. The trap is wecom-api G13.",
        "All of it (wecom-api A1, A3-A5,\n    C1-C3; doc 91022), as engine rule 7 says (promise 10).",
        "C0 and C1 controls (C1 controls too), grade (A), UTF-8 (B), paper of A4.",
        "See README.md and docs/wecom-api.md, or docs/wecom-api*.",
    ],
)
def test_what_is_right_or_no_citation_is_left_alone(cited: Cited, text: str) -> None:
    assert [] == list(faults(text, cited))


def test_a_module_may_cite_a_rule_of_its_own() -> None:
    own = rules_of("A cache.\n\nRule 1: a token is served.\nRule 2. It is replaced.\n")

    assert [] == list(faults("Replaced (rule 2).", Cited(), own_rules=own))
    assert list(faults("Replaced (rule 3).", Cited(), own_rules=own))


def test_docstrings_and_comments_are_read_and_other_strings_are_not() -> None:
    source = '"""1"""\nA = "two"\n"""3\n4"""\n\n# 6\n# 7\ndef f():\n    """9"""  # nine\n    return "ten"\n'

    assert [(remark.line, remark.text) for remark in python_remarks(ROOT, source)] == [
        (1, '"""1"""'),
        (3, '"""3\n4"""'),
        (9, '"""9"""'),
        (6, "6\n7"),
        (9, "nine"),
    ]
