"""Whom changes wake, and what counts as one."""

from broker.usecases.suites.changes import Changes


def test_the_end_of_a_suite_is_a_change() -> None:
    changes = Changes()
    before = changes.version("market")

    changes.end("market", None)

    assert before != changes.version("market")
