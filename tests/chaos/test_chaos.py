"""The short form of `make chaos`: the whole broker, through a failover of Sentinel; and what a row says."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.callers import Tally
from tests.chaos.cell import run
from tests.chaos.faults import FAULTS
from tests.chaos.load import Seen
from tests.chaos.table import row
from tests.chaos.verdict import Verdict

SEED = 11


@pytest.mark.slow
async def test_a_failover_fails_no_warm_call_and_loses_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    verdict = await run(FAULTS["primary SIGKILL, Sentinel"], SEED, seconds=3)

    assert [] == verdict.problems
    record_property("figures", f"chaos: {' '.join(row(verdict).split())}")


def loaded(**seen: Any) -> Verdict:
    made: dict[str, Any] = {
        "warm": Tally(9),
        "pages": Tally(9),
        "accepted": {"1", "2"},
        "handled": {"1", "2"},
    }
    return Verdict("a fault", 7, Seen(**{**made, **seen}), 5, 5, 1, 0, 0, 0.5)


def test_a_cell_that_keeps_all_promises_is_ok() -> None:
    verdict = loaded()

    assert [] == verdict.problems
    assert row(verdict).endswith("0.5 s     ok")


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [
        (loaded(warm=Tally(9, 1, Counter(UNAVAILABLE=1))), "warm calls failed: 1 × UNAVAILABLE"),
        (loaded(pages=Tally(9, 1, Counter(UNAVAILABLE=1))), "page signatures failed: 1 × UNAVAILABLE"),
        (loaded(handled={"1"}), "1 events lost, 0 writes told as unproven"),
        (replace(loaded(), upstream=6), "6 calls to WeCom, 5 are allowed"),
        (replace(loaded(), codes_lost=1), "1 permanent codes lost, 0 writes told as unproven"),
        (replace(loaded(), coherent=None, incoherent="apart"), "not coherent within 20 s: apart"),
        (loaded(warm=Tally()), "no load: the cell shows nothing"),
    ],
)
def test_a_cell_that_breaks_a_promise_says_which(verdict: Verdict, problem: str) -> None:
    assert [problem] == verdict.problems
    assert row(verdict).endswith("FAIL")
