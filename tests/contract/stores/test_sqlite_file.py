"""The embedded store is one file of one process: durable, private, and never half written."""

import asyncio
import base64
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.sqlite.connection import BUSY_MILLISECONDS
from broker.adapters.sqlite.group_commit import EXECUTION_SECONDS, QUEUE_SECONDS
from broker.adapters.sqlite.store import SqliteStore, StoreInUse, open_sqlite
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Busy, Notice, NoticeKind, Record
from tests.contract.making import LONG, NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.sealed import SealedStore
from tests.contract.waiting import Stopwatch, listening
from tests.kit.time_bounds import check_took

REPOSITORY = Path(__file__).parents[3]

WRITER = """
import asyncio, sys
from pathlib import Path
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.system import SystemClock
from tests.contract.making import record, taken

async def write():
    async with open_sqlite(Path(sys.argv[1]), SystemClock()) as store:
        while True:
            lease = await taken(store)
            assert await store.commit(record(lease.fence, b"%d" % lease.fence), lease)
            print(lease.fence, flush=True)

asyncio.run(write())
"""


class Writer:
    """A process that commits, and says what it has committed, until it is killed."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )

    def committed(self) -> int:
        """Return the next fence that it has committed."""
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def kill(self) -> int:
        """End it as a crash does, and return the last fence that it spoke of, 0 if none is left to read."""
        self._process.send_signal(signal.SIGKILL)
        rest = self._process.communicate()[0].split("\n")[:-1]
        return int(rest[-1]) if rest else 0


class GatedClock(SystemClock):
    """Stop the store's thread in the middle of a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.entered = threading.Event()
        self.gate = threading.Event()

    def now(self) -> datetime:
        if self.closed and threading.current_thread() is not threading.main_thread():
            self.entered.set()
            assert self.gate.wait(5)
        return super().now()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def strange_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in sorted(folder.iterdir())}


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


class TestDurability:
    async def test_records_and_tombstones_and_tallies_survive_a_restart(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            lease = await taken(store)
            await store.commit(record(lease.fence), lease)
            await store.forget("forgotten", 5)
            await store.count("calls", LONG)

        async with open_sqlite(path, SystemClock()) as store:
            assert (lease.fence, b"payload") == await held(store)
            assert (5, b"") == await held(store, "forgotten")
            assert 2 == await store.count("calls", LONG)
            assert (await taken(store)).fence > lease.fence

    async def test_fences_do_not_go_back_with_the_machines_clock(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            before = await taken(store)
            await store.release(before)

        slow = SystemClock()
        slow.set_fleet_time(datetime.now(UTC).timestamp() - 3600)
        async with open_sqlite(path, slow) as store:
            assert (await taken(store)).fence > before.fence

    async def test_what_may_be_forgotten_is_forgotten_at_the_next_start(self, path: Path) -> None:
        past = datetime.now(UTC) - timedelta(seconds=1)
        async with open_sqlite(path, SystemClock()) as store:
            await store.offer(Record("past", 1, b"payload", past))
            await store.offer(record(1, name="kept"))

        async with open_sqlite(path, SystemClock()) as store:
            assert ["kept"] == list(await store.load(["past", "kept"]))

    async def test_a_kill_in_mid_write_loses_nothing_that_was_committed(self, path: Path) -> None:
        writer = Writer(path)
        spoken = [writer.committed() for _ in range(20)]
        last = max(*spoken, writer.kill())

        async with open_sqlite(path, SystemClock()) as store:
            fence, payload = await held(store) or (0, b"")
            assert fence >= last
            assert b"%d" % fence == payload
            assert sorted(set(spoken)) == spoken

    async def test_what_was_committed_is_in_the_file_before_it_is_said(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            await store.offer(record(1))
            database = sqlite3.connect(path)
            assert [(1,)] == database.execute("SELECT fence FROM records").fetchall()
            assert (2,) == store._database.execute("PRAGMA synchronous").fetchone()
            database.close()


class TestOneProcess:
    async def test_a_second_opener_is_told(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            with pytest.raises(StoreInUse, match="in use by another process"):
                async with open_sqlite(path, SystemClock()):
                    pass
            await store.offer(record(1))

    async def test_it_is_free_when_its_holder_left(self, path: Path) -> None:
        for fence in (1, 2):
            async with open_sqlite(path, SystemClock()) as store:
                assert await store.offer(record(fence))

    async def test_it_is_free_when_its_holder_failed(self, path: Path) -> None:
        with pytest.raises(RuntimeError, match="of the test"):
            async with open_sqlite(path, SystemClock()):
                raise RuntimeError("of the test")

        async with open_sqlite(path, SystemClock()) as store:
            await store.ping()

    async def test_it_is_free_when_its_holder_was_killed(self, path: Path) -> None:
        writer = Writer(path)
        writer.committed()
        with pytest.raises(StoreInUse):
            async with open_sqlite(path, SystemClock()):
                pass
        writer.kill()

        async with open_sqlite(path, SystemClock()) as store:
            await store.ping()

    async def test_a_lease_of_a_process_that_is_gone_is_free(self, path: Path) -> None:
        """The file has one process: nobody else can hold what an earlier one held."""
        async with open_sqlite(path, SystemClock()) as store:
            dead = await taken(store)

        async with open_sqlite(path, SystemClock()) as store:
            lease = await taken(store)
            assert lease.fence > dead.fence
            assert not await store.commit(record(dead.fence), dead)
            assert isinstance(await store.acquire(NAME, LONG), Busy)


class TestPrivacy:
    @pytest.mark.usefixtures("strange_umask")
    async def test_nobody_else_may_read_any_of_its_files(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            await store.offer(record(1))
            files = modes(path.parent)

        assert ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"] == list(files)
        assert {"0o600"} == set(files.values())

    async def test_nothing_of_a_sealed_payload_is_in_the_file(self, path: Path) -> None:
        secret = b'{"value": "the-token-of-crm"}'
        async with open_sqlite(path, SystemClock()) as inner:
            store = SealedStore(inner, Seal([SealKey("k1", os.urandom(32))]), Notebook())
            lease = await taken(store)
            await store.commit(record(lease.fence, secret), lease)
            await store.replace(record(lease.fence, secret))
            await store.offer(record(lease.fence + 1, secret))
            written = bytes_of(path)

        for visible in (secret, b"the-token-of-crm", base64.b64encode(secret), secret.hex().encode()):
            assert visible not in written + bytes_of(path)
        assert NAME.encode() in written, "the test looks at the right bytes"


class TestDamage:
    @pytest.mark.parametrize("damage", ["garbage", "header", "truncated"])
    async def test_a_damaged_file_is_an_error_of_sqlite(self, path: Path, damage: str) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            for number in range(100):
                await store.offer(record(1, b"x" * 300, f"name {number}"))
        whole = path.read_bytes()
        damaged = {
            "garbage": os.urandom(8192),
            "header": whole[:100] + b"\xff" * (len(whole) - 100),
            "truncated": whole[: len(whole) // 3],
        }
        path.write_bytes(damaged[damage])

        with pytest.raises(sqlite3.Error):
            async with open_sqlite(path, SystemClock()):
                pytest.fail("it opened")
        path.unlink()  # the lock was given back:
        async with open_sqlite(path, SystemClock()) as store:
            await store.ping()

    async def test_damage_of_the_rows_is_an_error_at_the_start(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            for number in range(200):
                await store.offer(record(1, b"x" * 300, f"name {number}"))
        database = sqlite3.connect(path)
        (page_size,) = database.execute("PRAGMA page_size").fetchone()
        (root,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'records'").fetchone()
        database.close()
        whole = bytearray(path.read_bytes())
        whole[page_size * (root - 1) : page_size * root] = b"\xff" * page_size
        path.write_bytes(whole)

        with pytest.raises(sqlite3.Error):
            async with open_sqlite(path, SystemClock()):
                pytest.fail("it opened")

    async def test_a_folder_that_is_missing_is_an_error_of_the_system(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file"):
            async with open_sqlite(tmp_path / "missing" / "store.db", SystemClock()):
                pass

    async def test_a_folder_in_its_place_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises((OSError, sqlite3.Error)):
            async with open_sqlite(tmp_path, SystemClock()):
                pass

    async def test_damage_that_comes_later_makes_the_store_unavailable(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            await store.offer(record(1))
            database = sqlite3.connect(path)
            database.execute("DROP TABLE records")
            database.close()

            with pytest.raises(StoreUnavailable, match="the embedded store failed"):
                await store.load([NAME])


class TestCancelling:
    async def test_a_commit_whose_caller_gave_up_is_told_all_the_same(self, path: Path) -> None:
        clock = GatedClock()
        async with open_sqlite(path, clock) as store, listening(store) as ear:
            lease = await taken(store)
            await self._cancelled_in_mid_write(
                clock, asyncio.create_task(store.commit(record(lease.fence), lease))
            )

            assert Notice(NoticeKind.COMMITTED, NAME, lease.fence) == await ear.next()
            assert (lease.fence, b"payload") == await held(store)

    async def test_a_release_whose_caller_gave_up_is_told_all_the_same(self, path: Path) -> None:
        clock = GatedClock()
        async with open_sqlite(path, clock) as store, listening(store) as ear:
            lease = await taken(store)
            await self._cancelled_in_mid_write(clock, asyncio.create_task(store.release(lease)))

            assert Notice(NoticeKind.RELEASED, NAME, lease.fence) == await ear.next()

    @staticmethod
    async def _cancelled_in_mid_write(clock: GatedClock, task: "asyncio.Task[object]") -> None:
        clock.closed = True
        while not clock.entered.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        clock.closed = False
        clock.gate.set()


class TestSpoiltRows:
    """Somebody writes to the file: what they spoil is missing, and gives way to the next write."""

    @pytest.mark.parametrize("number", ["abc", b"\xff", 1.5, -5, 2**62])
    async def test_a_record_a_lease_and_a_counter_that_are_none(
        self, path: Path, number: str | bytes | float
    ) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            sealed = SealedStore(store, Seal([SealKey("k1", bytes(32))]), Notebook())
            await sealed.offer(record(5, name="good"))
            await sealed.offer(record(5))
            await store.count("calls", LONG)
            await taken(store)
            with sqlite3.connect(path) as other:
                other.execute(
                    "UPDATE records SET fence = ?, issued = ? WHERE name = ?", (number, number, NAME)
                )
                other.execute("UPDATE tallies SET count = ?", (number,))
                other.execute("UPDATE leases SET ends = ?", (number,))
            other.close()

            assert ["good"] == list(await sealed.load([NAME, "good"]))
            lease = await taken(store)
            assert lease.fence < 2**53
            assert await sealed.commit(record(lease.fence), lease)
            assert (lease.fence, b"payload") == await held(sealed)
            assert {"calls": 0} == await store.counts(["calls"])
            assert 1 == await store.count("calls", LONG)

    @pytest.mark.parametrize("payload", ["text", 5, 1.5])
    async def test_a_payload_of_another_type_is_missing(self, path: Path, payload: str | float) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            sealed = SealedStore(store, Seal([SealKey("k1", bytes(32))]), Notebook())
            await sealed.offer(record(5))
            with sqlite3.connect(path) as other:
                other.execute("UPDATE records SET payload = ?, keep_until = 'never'", (payload,))
            other.close()

            assert {} == await sealed.load([NAME])
            assert await sealed.offer(record(6))
            assert (6, b"payload") == await held(sealed)


class TestLockedByAnother:
    """A backup or a shell holds the file's lock: callers hear so soon, and are not queued up behind it."""

    @staticmethod
    def lock(path: Path) -> sqlite3.Connection:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other

    async def test_no_caller_waits_for_long(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            other = self.lock(path)
            watch = Stopwatch()
            answers = await asyncio.gather(
                *(store.offer(record(1, name=f"name {number}")) for number in range(100)),
                return_exceptions=True,
            )
            check_took(watch.seconds, QUEUE_SECONDS + EXECUTION_SECONDS + 1)
            assert {StoreUnavailable} == {type(answer) for answer in answers}
            other.execute("ROLLBACK")

            assert await store.offer(record(1))
            other.close()

    async def test_those_queued_behind_it_wait_no_longer_than_the_first(self, path: Path) -> None:
        """A cold token takes several transactions, and eight may be wanted at once."""
        async with open_sqlite(path, SystemClock()) as store:
            other = self.lock(path)
            watch = Stopwatch()
            for _ in range(3):
                answers = await asyncio.gather(
                    *(store.acquire(f"name {number}", LONG) for number in range(8)), return_exceptions=True
                )
                assert {StoreUnavailable} == {type(answer) for answer in answers}
            # One after the other they would take 24 times as long as one waits for the lock.
            check_took(watch.seconds, 12 * BUSY_MILLISECONDS / 1000)
            other.execute("ROLLBACK")
            other.close()

    async def test_what_was_dropped_while_it_waited_is_not_written_later(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            other = self.lock(path)
            names = [f"name {number}" for number in range(30)]
            offers = (store.offer(record(1, name=name)) for name in names)
            await asyncio.gather(*offers, return_exceptions=True)
            other.execute("ROLLBACK")
            other.close()

            # The one whose turn it was when time was up may still be written.
            assert len(await store.load(names)) <= 1

    async def test_a_short_lock_is_waited_out(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            other = self.lock(path)
            offering = asyncio.create_task(store.offer(record(1)))
            await asyncio.sleep(0.05)
            other.execute("ROLLBACK")
            other.close()

            assert await offering


class TestStuck:
    """A transaction does not come back: a disk that hangs, say."""

    @staticmethod
    @asynccontextmanager
    async def stuck(store: SqliteStore) -> "AsyncIterator[asyncio.Task[None]]":
        """Have a transaction run until the block ends."""
        begun, over = threading.Event(), threading.Event()

        def hang() -> None:
            begun.set()
            over.wait()

        task = asyncio.create_task(store.connection.run(hang))
        await asyncio.to_thread(begun.wait)
        try:
            yield task
        finally:
            over.set()

    async def test_its_caller_goes_on_after_a_second_and_those_behind_it_too(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            watch = Stopwatch()
            async with self.stuck(store) as first:
                behind = [
                    asyncio.create_task(store.offer(record(1, name=f"name {number}"))) for number in range(50)
                ]
                results = await asyncio.gather(first, *behind, return_exceptions=True)
                assert {StoreUnavailable} == {type(result) for result in results}
                check_took(watch.seconds, max(QUEUE_SECONDS, EXECUTION_SECONDS) + 0.5)

                late = Stopwatch()
                for _ in range(100):
                    with pytest.raises(StoreUnavailable):
                        await store.ping()
                check_took(late.seconds, QUEUE_SECONDS, "nobody queues up behind what is stuck")
            await until_answered(store)
            assert {} == await store.load([f"name {number}" for number in range(50)])

    async def test_the_time_in_the_queue_does_not_count_for_what_runs_then(self, path: Path) -> None:
        """Whoever is served late has its whole second."""
        async with open_sqlite(path, SystemClock()) as store:
            slow = [
                asyncio.create_task(store.connection.run(lambda: time.sleep(0.7 * EXECUTION_SECONDS)))
                for _ in range(2)
            ]

            assert [None, None] == await asyncio.gather(*slow)

    async def test_a_caller_that_gives_up_leaves_nothing_in_the_queue(self, path: Path) -> None:
        async with open_sqlite(path, SystemClock()) as store:
            async with self.stuck(store) as first:
                offering = asyncio.create_task(store.offer(record(1)))
                await asyncio.sleep(0.05)
                offering.cancel()
                await asyncio.wait([offering])
            await asyncio.wait([first])
            assert {} == await store.load([NAME])


async def until_answered(store: SqliteStore) -> None:
    """Return once the store answers."""
    while True:
        with suppress(StoreUnavailable):
            return await store.ping()
        await asyncio.sleep(0.01)


async def test_many_names_are_loaded_at_once(path: Path) -> None:
    async with open_sqlite(path, SystemClock()) as store:
        assert isinstance(store, SqliteStore)
        await store.offer(record(1))

        assert [NAME] == list(await store.load([NAME, *map(str, range(30_000))]))
