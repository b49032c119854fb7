"""One playground for all commands, and logging as it was after each: commands set their own up."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from broker.cli.playground import Playground
from broker.telemetry.logging import set_up_logging
from tests.cli.running import running_playground


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    # Else the playground's log would stand among the answers of the commands.
    set_up_logging("critical", "console")
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADDRESS", "CA", "TOKEN", "CONFIG", "LOG_LEVEL"):
        monkeypatch.delenv(f"WECOM_BROKER_{name}", raising=False)


@pytest.fixture(scope="session")
def playground() -> Iterator[Playground]:
    with running_playground() as running:
        yield running
