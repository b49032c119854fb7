"""The embedded event log: in the store's file, durable, and quick however long the backlog is."""

import sqlite3
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Damage
from tests.contract.event_fleets import ENTRIES
from tests.contract.events import ANA, APP, BEN, GROUP, KEEP, append, appended, lag, takes, takes_all, words
from tests.contract.making import LONG, held, record
from tests.contract.observer import Notebook
from tests.kit.memory.fake_clock import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.mark.parametrize("payload", ["text", 5])
async def test_an_entry_of_another_type_is_given_up_and_told_and_the_others_flow(
    path: Path, payload: str | int
) -> None:
    """Somebody writes to the file."""
    notebook = Notebook()
    async with open_sqlite(path, SystemClock()) as store:
        inner = SqliteEventLog(store.connection, SystemClock())
        log = SealedEventLog(inner, Seal([SealKey("k1", bytes(32))]), ENTRIES, notebook)
        given = await appended(log, "a1 b1 c1")
        with sqlite3.connect(path) as other:
            other.execute("UPDATE events SET payload = ? WHERE place = ?", (payload, given[1]))
        other.close()

        assert "a1 c1" == words(await log.read(APP, "", 10))
        assert "a1 c1" == words(await takes_all(log, ANA))
        assert {Damage.EVENT} == set(notebook.damage)
        assert 1 == (await lag(inner)).dead


class TestDurability:
    async def test_events_keys_and_groups_survive_a_restart(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            log = SqliteEventLog(store.connection, SystemClock())
            given = await appended(log, "a1 b1 c1")
            [entry, *_] = await log.read(APP, "", 1)
            await log.append(entry, key="same", once_in=LONG, keep=KEEP, notify=[])
            await log.claim(replace(ANA, max_in_flight=1))
            await log.acknowledge(APP, GROUP, given[:1])
            await log.claim(replace(ANA, max_in_flight=1, max_attempts=1))
            await log.release(APP, GROUP, "ana")

        async with open_sqlite(path, SystemClock()) as store:
            log = SqliteEventLog(store.connection, SystemClock())
            assert "" == await log.append(entry, key="same", once_in=LONG, keep=KEEP, notify=[])
            assert "b1" == words(await log.dead(APP, GROUP, "", 10))
            assert "c1 a1" == await takes(log, BEN)

    async def test_what_a_process_that_is_gone_held_is_free_at_once(self, path: Path) -> None:
        """The file has one process: nobody else can hold what an earlier one held."""
        async with open_sqlite(path, SystemClock()) as store:
            log = SqliteEventLog(store.connection, SystemClock())
            await appended(log, "a1")
            await log.claim(ANA)

        async with open_sqlite(path, SystemClock()) as store:
            [delivery] = await SqliteEventLog(store.connection, SystemClock()).claim(BEN)
            assert 0 == delivery.attempts

    async def test_it_is_in_the_file_before_it_is_said(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            position = await append(SqliteEventLog(store.connection, SystemClock()))
            database = sqlite3.connect(path)
            assert [(position,)] == database.execute("SELECT place FROM events").fetchall()
            database.close()

    async def test_places_grow_though_the_clock_goes_back(self, path: Path) -> None:
        clock = FakeClock()
        async with open_sqlite(path, clock) as store:
            first = await append(SqliteEventLog(store.connection, clock))
        clock = FakeClock(clock.now() - LONG)
        async with open_sqlite(path, clock) as store:
            assert await append(SqliteEventLog(store.connection, clock)) > first

    async def test_a_file_from_before_there_were_events_gets_one(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            await store.offer(record(1, name="kept"))
        database = sqlite3.connect(path)
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'event%'"
        for (table,) in database.execute(tables).fetchall():
            database.execute(f"DROP TABLE {table}")
        database.close()

        async with open_sqlite(path, SystemClock()) as store:
            assert await append(SqliteEventLog(store.connection, SystemClock()))
            assert (1, b"payload") == await held(store, "kept")

    async def test_a_file_from_before_deliveries_were_counted_counts_from_now_on(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            log = SqliteEventLog(store.connection, SystemClock())
            await appended(log, "a1")
            await log.claim(ANA)
        database = sqlite3.connect(path)
        database.execute("ALTER TABLE event_work DROP COLUMN losses")
        database.close()

        async with open_sqlite(path, SystemClock()) as store:
            [delivery] = await SqliteEventLog(store.connection, SystemClock()).claim(BEN)
            assert 2 == delivery.count

    async def test_a_transaction_that_fails_changes_nothing_and_tells_nothing(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            log = SqliteEventLog(store.connection, SystemClock())
            await appended(log, "a1")
            database = sqlite3.connect(path)
            database.execute("DROP TABLE event_work")
            database.close()

            with pytest.raises(StoreUnavailable, match="the embedded store failed"):
                await log.claim(ANA)
            assert [] == store.connection.database.execute("SELECT * FROM event_groups").fetchall()


async def test_a_stuck_corp_costs_others_nothing(path: Path) -> None:
    """The cost is counted in steps of SQLite: it does not grow with the backlog."""
    async with open_sqlite(path, SystemClock()) as store:
        database = store.connection.database
        database.execute("PRAGMA synchronous = OFF")
        log = SqliteEventLog(store.connection, SystemClock())
        await appended(log, "a1")
        await log.claim(replace(ANA, max_in_flight=1))
        cheap = await steps_of_a_round(database, log)
        await appended(log, "a2 " * 3000)
        assert [] == await takes_all(log, BEN)
        dear = await steps_of_a_round(database, log)

        assert 3001 == (await lag(log)).open
        assert dear < cheap * 1.5


async def steps_of_a_round(database: sqlite3.Connection, log: SqliteEventLog) -> int:
    """Append, take and acknowledge two events; return how many steps that took."""
    steps = count()
    database.set_progress_handler(lambda: next(steps) and None, 10)
    given = await appended(log, "b1 c1")
    assert "b1 c1" == await takes(log, BEN)
    assert 2 == await log.acknowledge(APP, GROUP, given)
    database.set_progress_handler(None, 10)
    return next(steps)
