"""Many callbacks at once are written together, and none of them pays for another."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.sqlite.connection import SqliteConnection, connect_sqlite
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.group_commit import LARGEST_BATCH
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.event_log import EventStore
from broker.domain.ports.store import NoticeKind
from tests.contract.events import APP, append, words
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

MANY = 200
BAD = "\ud800"
"""No store can write it: a corp's id that is no text."""


def numbered(count: int) -> str:
    return " ".join(f"a{number}" for number in range(count))


async def appended_at_once(log: EventStore, count: int, **bad: int) -> list[str | BaseException]:
    corps = [BAD if number in bad.values() else "a" for number in range(count)]
    appends = [append(log, corp, b"a%d" % number) for number, corp in enumerate(corps)]
    return await asyncio.gather(*appends, return_exceptions=True)


@contextmanager
def thread_held(connection: SqliteConnection) -> Iterator[None]:
    """Keep the database's thread busy, so that what is asked of it meanwhile comes after that."""
    over = threading.Event()
    held = asyncio.ensure_future(connection.run(lambda: over.wait(5)))
    try:
        yield
    finally:
        over.set()
    del held


class TestOfEveryLog:
    async def test_they_are_in_the_log_in_the_order_in_which_they_came(self, log: EventStore) -> None:
        places = await appended_at_once(log, MANY)

        assert numbered(MANY) == words(await log.read(APP, "", 2 * MANY))
        assert all(str(one) < str(next_one) for one, next_one in pairwise(places))

    async def test_one_whose_caller_gives_up_takes_no_other_with_it(self, log: EventStore) -> None:
        tasks = [asyncio.create_task(append(log, "a", b"a%d" % number)) for number in range(50)]
        await asyncio.sleep(0)
        tasks[7].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)

        assert isinstance(answers[7], asyncio.CancelledError)
        written = words(await log.read(APP, "", 100)).split()
        assert [f"a{n}" for n in range(50) if n != 7] == [word for word in written if word != "a7"]


class TestOfSqlite:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "store.db"

    async def test_what_arrives_while_one_commits_shares_the_next_commit(self, path: Path) -> None:
        async with connect_sqlite(path) as connection:
            log, done = SqliteEventLog(connection, SystemClock()), []
            connection.database.set_trace_callback(done.append)
            await append(log)
            done.clear()
            assert MANY == len(await appended_at_once(log, MANY))

        sizes, size = [], 0
        for statement in done:
            size += statement.startswith("INSERT INTO events ")
            if statement == "COMMIT":
                sizes.append(size)
                size = 0
        assert MANY == sum(sizes)
        assert max(sizes) <= LARGEST_BATCH
        # A batch ends early on a busy machine.
        assert len(sizes) < MANY / 4

    async def test_each_is_in_the_file_before_it_is_answered(self, path: Path) -> None:
        async with connect_sqlite(path) as connection:
            log = SqliteEventLog(connection, SystemClock())
            other = sqlite3.connect(path)
            find = "SELECT count(*) FROM events WHERE place = ?"

            async def found_when_answered(number: int) -> int:
                place = await append(log, "a", b"a%d" % number)
                return int(other.execute(find, (place,)).fetchone()[0])

            assert [1] * 100 == await asyncio.gather(*map(found_when_answered, range(100)))
            other.close()

    async def test_one_that_cannot_be_written_takes_no_other_with_it(self, path: Path) -> None:
        async with connect_sqlite(path) as connection:
            log = SqliteEventLog(connection, SystemClock())
            notices = connection.notices()
            assert NoticeKind.CONNECTED == (await anext(notices)).kind
            with thread_held(connection):
                appends = [
                    append(log, BAD if number == 3 else "a", b"a%d" % number, notify=[str(number)])
                    for number in range(6)
                ]
                answering = asyncio.gather(*appends, return_exceptions=True)
                await asyncio.sleep(0.01)
            answers = await answering

            assert isinstance(answers[3], UnicodeEncodeError)
            assert "a0 a1 a2 a4 a5" == words(await log.read(APP, "", 10))
            # Each is told once, though the first attempt was rolled back.
            await append(log, notify=["last"])
            told = [(await anext(notices)).name for _ in range(6)]
            assert ["0", "1", "2", "4", "5", "last"] == told

    async def test_a_commit_that_fails_is_answered_to_none(self, path: Path) -> None:
        async with connect_sqlite(path) as connection:
            log = SqliteEventLog(connection, SystemClock())
            await append(log)
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            answers = await appended_at_once(log, 20)
            other.execute("ROLLBACK")
            other.close()

            assert {StoreUnavailable} == {type(answer) for answer in answers}
            assert 1 == len(await log.read(APP, "", 100))


class TestOfRedis:
    async def test_what_arrives_while_one_is_under_way_goes_as_one(
        self, own_redis: RedisServer, patient_client: None
    ) -> None:
        async with connect_redis(own_redis.url) as client:
            log = RedisEventLog(client, "test")
            await append(log)
            await client.run(lambda redis: redis.config_resetstat())
            await appended_at_once(log, MANY)
            stats = await client.run(lambda redis: redis.info("stats"))

        # Redis reads a batch at once, or in a few pieces.
        assert stats["total_reads_processed"] < MANY / 4

    async def test_one_that_cannot_be_written_takes_no_other_with_it(
        self, own_redis: RedisServer, patient_client: None
    ) -> None:
        async with connect_redis(own_redis.url) as client:
            log = RedisEventLog(client, "test")
            answers = await appended_at_once(log, 6, bad=3)

            assert isinstance(answers[3], UnicodeEncodeError)
            assert "a0 a1 a2 a4 a5" == words(await log.read(APP, "", 10))
