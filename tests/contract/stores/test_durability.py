"""Durable records: written like all others, and on disk before the store answers, where it can prove that."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.adapters.redis.batched_writes import AT_ONCE, LARGEST, SYNC
from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Durability
from broker.domain.ports.store import Notice, NoticeKind, Record, Store
from tests.contract.making import NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.waiting import Stopwatch, listening
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

FULL = 2
PROVEN = (Durability.PROVEN, "")


def durable(fence: int, name: str = NAME) -> Record:
    return replace(record(fence, name=name), durable=True)


@dataclass(frozen=True)
class Opened:
    """A store on a server of its own, and what it told."""

    store: RedisStore
    notebook: Notebook
    client: RedisClient


@asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[Opened]:
    notebook = Notebook()
    async with connect_redis(server.url) as client:
        yield Opened(RedisStore(client, "test", SystemClock(), notebook), notebook, client)


@pytest.fixture(params=["always", "everysec"])
def logging_redis(
    request: pytest.FixtureRequest, tmp_path: Path, patient_client: None
) -> Iterator[RedisServer]:
    """A server with an append-only file."""
    with RedisServer(tmp_path / "redis", "--appendfsync", request.param, append_only=True) as server:
        yield server


@pytest.fixture
def slow_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that leaves it to the system when it syncs: within half a minute."""
    with RedisServer(tmp_path / "redis", "--appendfsync", "no", append_only=True) as server:
        yield server


class TestOfEveryStore:
    async def test_a_durable_record_is_committed_and_told_like_any_other(self, store: Store) -> None:
        async with listening(store) as ear:
            lease = await taken(store)
            assert await store.commit(durable(lease.fence), lease)

            assert Notice(NoticeKind.COMMITTED, NAME, lease.fence) == await ear.next()
            assert (lease.fence, b"payload") == await held(store)
            assert not await store.commit(durable(lease.fence + 1), lease)

    async def test_a_durable_record_is_offered_and_told_like_any_other(self, store: Store) -> None:
        async with listening(store) as ear:
            assert await store.offer(durable(5))
            assert not await store.offer(durable(5))
            assert not await store.offer(durable(4))

            assert Notice(NoticeKind.COMMITTED, NAME, 5) == await ear.next()
            assert (5, b"payload") == await held(store)


class TestOfSqlite:
    async def test_each_transaction_of_the_writing_connection_is_synced(self, tmp_path: Path) -> None:
        async with open_sqlite(tmp_path / "store.db", SystemClock()) as store:

            def pragmas() -> list[object]:
                database = store.connection.database
                return [
                    database.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("synchronous", "journal_mode")
                ]

            assert [FULL, "wal"] == await store.connection.run(pragmas)
            assert "" == await store.durability_problem()

    async def test_the_file_has_it_before_it_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        async with open_sqlite(path, SystemClock()) as store:
            await store.offer(durable(1))
            database = sqlite3.connect(path)
            assert [(1,)] == database.execute("SELECT fence FROM records").fetchall()
            database.close()


class TestOfRedis:
    async def test_what_is_written_is_proven_and_survives_a_kill(self, logging_redis: RedisServer) -> None:
        async with opened(logging_redis) as it:
            lease = await taken(it.store)
            assert await it.store.commit(durable(lease.fence), lease)
            assert await it.store.offer(durable(1, "another"))
            assert [PROVEN, PROVEN] == it.notebook.durable_writes
            logging_redis.kill()
            logging_redis.start()

        async with opened(logging_redis) as it:
            assert (lease.fence, b"payload") == await held(it.store)
            assert (1, b"payload") == await held(it.store, "another")

    async def test_many_at_once_are_proven_by_few_syncs(self, logging_redis: RedisServer) -> None:
        async with opened(logging_redis) as it:
            await it.store.offer(record(5, name="code 7"))
            written = await asyncio.gather(*(it.store.offer(durable(1, f"code {n}")) for n in range(1000)))
            used = await it.client.run(lambda redis: redis.info("commandstats"))

        assert [n != 7 for n in range(1000)] == written
        assert [PROVEN] * 999 == it.notebook.durable_writes
        # One batch more: a server that does not know the script yet gets it, and the first batch again.
        assert 1000 / LARGEST <= used["cmdstat_waitaof"]["calls"] <= 1000 / LARGEST + AT_ONCE

    async def test_one_that_redis_refuses_takes_no_other_with_it(self, logging_redis: RedisServer) -> None:
        async with opened(logging_redis) as it:
            await it.client.run(lambda redis: redis.set("test:{code 1}:record", "no hash"))
            replies = await asyncio.gather(
                *(it.store.offer(durable(1, f"code {n}")) for n in range(3)), return_exceptions=True
            )

        assert [True, True] == [replies[0], replies[2]]
        assert isinstance(replies[1], StoreUnavailable)
        assert "WRONGTYPE" in replies[1].message
        assert [PROVEN, PROVEN] == it.notebook.durable_writes

    @pytest.mark.usefixtures("patient_client")
    async def test_one_whose_caller_gives_up_takes_no_other_with_it(
        self, slow_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("broker.adapters.redis.batched_writes.SYNC", timedelta(seconds=2))
        async with opened(slow_redis) as it:
            first, other = [asyncio.create_task(it.store.offer(durable(1, f"code {n}"))) for n in range(2)]
            while not await held(it.store, "code 1"):
                await asyncio.sleep(0.005)
            first.cancel()

            assert await other
            assert first.cancelled()
            assert (1, b"payload") == await held(it.store, "code 0")

    async def test_of_what_is_not_written_nothing_is_told(self, logging_redis: RedisServer) -> None:
        async with opened(logging_redis) as it:
            await it.store.offer(record(5))
            assert not await it.store.offer(durable(5))

        assert [] == it.notebook.durable_writes

    async def test_a_server_that_lost_its_scripts_gets_them_again(self, logging_redis: RedisServer) -> None:
        async with opened(logging_redis) as it:
            await it.client.run(lambda redis: redis.script_flush())
            assert await it.store.offer(durable(1))

        assert [PROVEN] == it.notebook.durable_writes

    async def test_a_sync_that_takes_long_is_not_waited_for(self, slow_redis: RedisServer) -> None:
        async with opened(slow_redis) as it:
            watch = Stopwatch()
            assert await it.store.offer(durable(1))
            assert watch.seconds >= SYNC.total_seconds() * 0.9
            assert (1, b"payload") == await held(it.store)

        assert [(Durability.LATE, "it was not on disk within 600 ms")] == it.notebook.durable_writes

    @pytest.mark.usefixtures("patient_client")
    async def test_a_server_that_dies_before_the_sync_did_not_take_it(self, slow_redis: RedisServer) -> None:
        async with opened(slow_redis) as it:
            writing = [asyncio.create_task(it.store.offer(durable(1, f"code {n}"))) for n in range(2)]
            while not await held(it.store, "code 1"):
                await asyncio.sleep(0.005)
            slow_redis.kill()
            errors = await asyncio.gather(*writing, return_exceptions=True)

        assert [StoreUnavailable] * 2 == [type(error) for error in errors]
        assert errors[0] is not errors[1]

        assert [] == it.notebook.durable_writes

    @pytest.mark.usefixtures("patient_client")
    async def test_others_find_a_connection_while_many_wait(self, slow_redis: RedisServer) -> None:
        async with opened(slow_redis) as it:
            writing = []
            for number in range(20):
                writing.append(asyncio.create_task(it.store.offer(durable(1, f"code {number}"))))
                await asyncio.sleep(0)
            while not await held(it.store, f"code {AT_ONCE - 1}"):
                await asyncio.sleep(0.005)
            assert {} == await it.store.load(["code 19"])
            assert not any(task.done() for task in writing)
            for task in writing:
                task.cancel()
            await asyncio.wait(writing)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [((), "appendonly is disabled"), (("--rename-command", "WAITAOF", ""), "unknown command")],
        ids=["without a log", "before 7.2"],
    )
    async def test_what_cannot_be_proven_counts_and_is_told(
        self, tmp_path: Path, options: tuple[str, ...], problem: str
    ) -> None:
        with RedisServer(tmp_path / "redis", *options) as server:
            async with opened(server) as it:
                assert await it.store.offer(durable(1))
                assert (1, b"payload") == await held(it.store)

        [(outcome, told)] = it.notebook.durable_writes
        assert Durability.UNPROVEN is outcome
        assert problem in told


class TestWhatAStartTells:
    @staticmethod
    async def told(server: RedisServer) -> str:
        async with opened(server) as it:
            return await it.store.durability_problem()

    async def test_a_server_with_a_log_has_no_problem(self, logging_redis: RedisServer) -> None:
        assert "" == await self.told(logging_redis)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (
                (),
                (
                    "persistence is off (no appendonly, no save), so a restart loses everything:"
                    " set appendonly to yes"
                ),
            ),
            (
                ("--save", "3600", "1"),
                (
                    "appendonly is off, so a crash loses what was written since the last snapshot:"
                    " set appendonly to yes"
                ),
            ),
            (
                ("--rename-command", "CONFIG", ""),
                (
                    "appendonly is off, so a crash loses what its snapshots (if there are any) lack:"
                    " set appendonly to yes"
                ),
            ),
            (
                ("--appendonly", "yes", "--rename-command", "WAITAOF", ""),
                "it cannot say when a write is on disk",
            ),
            (("--rename-command", "INFO", ""), "its persistence cannot be read"),
        ],
        ids=["nothing", "snapshots", "no CONFIG", "before 7.2", "no INFO"],
    )
    async def test_what_may_be_lost(self, tmp_path: Path, options: tuple[str, ...], problem: str) -> None:
        with RedisServer(tmp_path / "redis", *options) as server:
            assert (await self.told(server)).startswith(problem)

    async def test_a_server_that_is_away_is_unavailable(self, own_redis: RedisServer) -> None:
        own_redis.kill()
        with pytest.raises(StoreUnavailable):
            await self.told(own_redis)
