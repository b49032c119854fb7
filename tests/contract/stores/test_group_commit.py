"""Transactions that wait for the one thread of a database."""

import asyncio
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.adapters.sqlite import group_commit
from broker.adapters.sqlite.group_commit import GroupCommit


class ClockThatWaits:
    """The machine's clock; the event loop's thread can read it only after the database's thread is done."""

    def __init__(self, thread: ThreadPoolExecutor, ends: threading.Event) -> None:
        self._thread = thread
        self._ends = ends
        self._loop = threading.get_ident()

    def monotonic(self) -> float:
        if threading.get_ident() == self._loop:
            self._ends.set()
            self._thread.submit(lambda: None).result()
        return time.monotonic()


async def test_a_transaction_may_end_while_another_asks_how_long_it_has_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, ends = threading.Event(), threading.Event()
    database = sqlite3.connect(":memory:", check_same_thread=False)

    def first() -> str:
        began.set()
        ends.wait(10)
        return "first"

    with ThreadPoolExecutor(max_workers=1) as thread:
        transactions = GroupCommit(database, thread, lambda notice: None)
        running = asyncio.create_task(transactions.run(first))
        await asyncio.to_thread(began.wait, 10)
        monkeypatch.setattr(group_commit, "time", ClockThatWaits(thread, ends))

        assert "second" == await transactions.run(lambda: "second")
        assert "first" == await running
    database.close()
