"""One playground for all commands, and logging as it was after each: commands set their own up."""

from collections.abc import Iterator

import pytest

from broker.cli.demo.playground import Playground
from broker.telemetry.logging import set_up_logging
from tests.cli.running import running_playground
from tests.kit.logs import own_logging
from tests.kit.patience import wait_for_stores


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with own_logging():
        # Else the playground's log would stand among the answers of the commands.
        set_up_logging("critical", "console")
        yield


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADDRESS", "CA", "TOKEN", "CONFIG", "LOG_LEVEL"):
        monkeypatch.delenv(f"WECOM_BROKER_{name}", raising=False)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_stores(monkeypatch)


@pytest.fixture(scope="session")
def playground() -> Iterator[Playground]:
    with running_playground() as running:
        yield running
