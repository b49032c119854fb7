"""Patience with a store in the test's own process: a busy machine may hold it up for seconds."""

import pytest

from broker.adapters.sqlite import group_commit

PATIENCE_SECONDS = 15.0


def wait_for_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for an embedded store, as `patient_broker` does for Redis: a broker gives it a second."""
    monkeypatch.setattr(group_commit, "QUEUE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(group_commit, "EXECUTION_SECONDS", PATIENCE_SECONDS)
