"""The embedded store is locked by another process: what is cold is fetched all the same (engine rule 10)."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wecom_broker import Broker

from broker.simulator.demo import add_children, demo_world
from tests.integration.conftest import Figures
from tests.kit.broker_here import broker_here
from tests.kit.processes.fleet import APP, child
from tests.kit.time_bounds import check_took

AT_ONCE = 8
LONGEST_SECONDS = 5.0
"""A cold chain of five calls, each with a few looks at the store; 25 s before there was a limit."""


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the file's lock, as a backup or a shell may."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.parametrize("known", [True, False], ids=["shares known", "nothing known"])
async def test_eight_cold_children_are_answered_while_another_process_holds_the_lock(
    tmp_path: Path, figures: Figures, *, known: bool
) -> None:
    world = demo_world()
    add_children(world, 1 + AT_ONCE)
    async with broker_here(tmp_path, world) as here, Broker(here.address) as broker:
        if known:
            await broker.access_token(APP, child(1))
        with locked(tmp_path / "broker.db"):
            began = time.perf_counter()
            found = await asyncio.gather(
                *(broker.access_token(APP, child(number)) for number in range(2, 2 + AT_ONCE))
            )
            seconds = time.perf_counter() - began
            for token in found:
                assert token == await broker.access_token(APP, token.corp_id)
    figures(shares_known=known, seconds=seconds)
    assert AT_ONCE == len({token.value for token in found})
    assert all(world.tokens.find(token.value) for token in found)
    check_took(seconds, LONGEST_SECONDS)
