"""Bounds on how long things take. A test that exceeds one is run once more: a plugin of pytest.

pytest-rerunfailures does that, too; on several workers it asks over a socket before each test, which
takes 40 ms.
"""

from collections.abc import Generator

import pytest
from _pytest.runner import runtestprotocol

EXCEEDED = pytest.StashKey[bool]()
"""Whether a test has exceeded a bound."""
AGAIN = "rerun"


class TooSlow(AssertionError):
    """Something took longer than promised, in this run: maybe the machine was busy with other work.

    Such a test is run a second time, and pytest's last line says so. A test that fails in any other way is
    not run again: a wrong answer is wrong, however rare.
    """


def check_took(seconds: float, within: float, told: str = "") -> None:
    """Raise `TooSlow` unless the seconds are fewer than those promised."""
    if not seconds < within:
        raise TooSlow(f"took {seconds:.3f} s, promised: less than {within} s{told and ': '}{told}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test was too slow."""
    if call.excinfo and call.excinfo.errisinstance(TooSlow):
        item.stash[EXCEEDED] = True
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test, and again with new fixtures if it was too slow."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if item.stash.get(EXCEEDED, False):
        failed = next(report for report in reports if report.failed)
        failed.outcome = AGAIN
        item.ihook.pytest_runtest_logreport(report=failed)
        item._initrequest()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count those that were run again."""
    return (AGAIN, "R", "RERUN") if report.outcome == AGAIN else None
