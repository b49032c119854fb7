"""tests/README.md says which promise is tested where, and leaves none out."""

import re

from tests.architecture.pages.citations import what_there_is
from tests.architecture.sources import ROOT

README = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:tests|broker)/[^`\s]*)`")
RULE = re.compile(r"^\| engine rule (\d+):", re.MULTILINE)
PROMISE = re.compile(r"^\| log promises? (\d+)(?: to (\d+))?[:,]", re.MULTILINE)


def test_every_path_of_it_exists() -> None:
    paths = PATH.findall(README)

    assert len(paths) > 50
    assert [] == [path for path in paths if not (ROOT / path).exists()]


def test_each_rule_of_the_engine_and_promise_of_the_log_has_its_line() -> None:
    promises = [range(int(first), int(last or first) + 1) for first, last in PROMISE.findall(README)]

    assert what_there_is().engine_rules == set(RULE.findall(README))
    assert what_there_is().promises == {str(number) for numbers in promises for number in numbers}
