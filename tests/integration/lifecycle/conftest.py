"""A WeCom for the tests of reloads, and a broker that serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lifecycle.reloading import Reloading
from tests.kit.processes.fleet import SimulatorProcess


@pytest.fixture(scope="module")
def wecom() -> Iterator[SimulatorProcess]:
    """WeCom, which every broker here calls."""
    with SimulatorProcess(children=3) as simulator:
        yield simulator


@pytest.fixture
def here(tmp_path: Path, wecom: SimulatorProcess) -> Iterator[Reloading]:
    """A broker that serves."""
    found = Reloading(tmp_path, wecom)
    with found.broker:
        yield found
