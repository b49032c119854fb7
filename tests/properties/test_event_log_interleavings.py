"""Event logs under random interleavings of members, retention and time, held against the ten promises.

The rules keep books of what they see, and judge each answer by them. Which of several corps comes first is
the log's own choice.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.redis.batched_writes import BatchedWrites
from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import APPEND, RedisEventLog
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import open_sqlite
from broker.domain.events.log import Delivery, Entry, Lag, Member, Retention
from broker.domain.ports.event_log import EventStore
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis
from tests.properties.examples import MANY

APP = "crm"
ACK_TIMEOUT = timedelta(seconds=30)
ALIVE_FOR = timedelta(seconds=20)
AGE = timedelta(minutes=5)
MAX_TRIES = 2
EVERYTHING, TEXTS = "everything", "texts"
WANTED = {EVERYTHING: frozenset[str](), TEXTS: frozenset({"text"})}

Step = tuple[Any, ...]

groups = st.sampled_from([EVERYTHING, EVERYTHING, EVERYTHING, TEXTS])
members = st.sampled_from(["ana", "ana", "ben"])
rooms = st.sampled_from([100, 1, 2, 4])
picks = st.lists(st.integers(0, 30), max_size=4)
appends = st.tuples(st.just("append"), st.sampled_from("aabc"), st.sampled_from(["text", "text", "image"]))
takes = st.tuples(st.just("claim"), groups, members, rooms)
acknowledges = st.tuples(st.just("acknowledge held"), groups, members, picks)
passes = st.tuples(st.just("pass"), st.sampled_from([10, 10, 15, 19.999, 20, 30, 200]))
seldom = st.one_of(
    st.tuples(st.just("burst"), st.sampled_from([3, 8, 100])),
    st.tuples(st.just("trim"), st.sampled_from([1, 3, 100])),
    st.tuples(st.just("acknowledge any"), groups, picks),
    st.tuples(st.just("release"), groups, members, st.booleans()),
    st.tuples(st.just("retry"), groups, picks),
    st.tuples(st.just("rewind"), groups, st.integers(0, 30)),
    st.tuples(st.just("compare")),
)
steps = st.one_of(appends, takes, takes, acknowledges, passes, seldom)
programs = st.lists(steps, min_size=25, max_size=80)


@dataclass
class Books:
    """What one group has seen, and what follows from that."""

    kept: list[Entry]
    start: str
    handled: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    alive_until: dict[str, datetime] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)

    def forget_what_is_not_kept(self) -> None:
        kept = {entry.position for entry in self.kept}
        self.dead &= kept
        self.holders = {position: name for position, name in self.holders.items() if position in kept}
        self.attempts = {
            position: attempts for position, attempts in self.attempts.items() if position in kept
        }

    def open(self) -> list[Entry]:
        done = self.handled | self.dead
        return [entry for entry in self.kept if entry.position >= self.start and entry.position not in done]

    def held_by(self, name: str) -> list[str]:
        return sorted(position for position, holder in self.holders.items() if holder == name)

    def owners(self) -> dict[str, str]:
        return {
            entry.corp_id: self.holders[entry.position]
            for entry in self.kept
            if entry.position in self.holders
        }

    def for_member(self, member: Member) -> list[Entry]:
        """Return what the member may have."""
        owners = self.owners()
        return [
            entry
            for entry in self.open()
            if entry.position not in self.holders
            and owners.get(entry.corp_id, member.name) == member.name
            and (not member.event_types or entry.event_type in member.event_types)
        ]

    def lose(self, name: str, *, counts_as_attempt: bool) -> None:
        held = self.held_by(name)
        for position in held:
            del self.holders[position]
            self.losses[position] = self.losses.get(position, 0) + 1
        if held and counts_as_attempt:
            self.attempts[held[0]] = self.attempts.get(held[0], 0) + 1
            if self.attempts[held[0]] == MAX_TRIES:
                self.dead.add(held[0])

    def pass_until(self, now: datetime) -> set[str]:
        """Let happen what time brings about; return who was late."""
        late = set()
        for name, gone in list(self.alive_until.items()):
            loses = self.since[name] + ACK_TIMEOUT if self.held_by(name) else gone
            if loses < gone and loses <= now:
                self.lose(name, counts_as_attempt=True)
                late.add(name)
            if gone <= now:
                self.lose(name, counts_as_attempt=False)
                del self.alive_until[name]
        return late


class Rules:
    """Do the steps of a program, and judge what the log answers."""

    def __init__(self, log: EventStore, clock: FakeClock) -> None:
        self._log = log
        self._clock = clock
        self._kept: list[Entry] = []
        self._books: dict[str, Books] = {}
        self._count = 0

    async def do(self, step: Step) -> None:
        name, *arguments = step
        await getattr(self, name.replace(" ", "_"))(*arguments)

    async def append(self, corp_id: str, event_type: str, keep: int = 100) -> None:
        self._count += 1
        entry = Entry(APP, corp_id, event_type, b"%d" % self._count)
        key, retention = f"key {self._count}", Retention(AGE, keep)
        position = await self._log.append(entry, key=key, once_in=AGE, keep=retention, notify=[])
        assert not self._kept or position > self._kept[-1].position
        assert not await self._log.append(entry, key=key, once_in=AGE, keep=retention, notify=[])
        self._kept.append(replace(entry, position=position))
        self._forget_what_is_not_kept(keep)

    async def trim(self, keep: int) -> None:
        await self._log.trim(APP, Retention(AGE, keep))
        self._forget_what_is_not_kept(keep)

    def _forget_what_is_not_kept(self, keep: int) -> None:
        oldest = (self._clock.now() - AGE).timestamp()
        self._kept[:] = [entry for entry in self._kept[-keep:] if came(entry.position).timestamp() >= oldest]
        for books in self._books.values():
            books.forget_what_is_not_kept()

    async def burst(self, keep: int) -> None:
        for corp_id in "abacada":
            await self.append(corp_id, "text", keep)

    async def claim(self, group: str, name: str, max_in_flight: int) -> None:
        member = Member(APP, group, name, WANTED[group], max_in_flight, ACK_TIMEOUT, ALIVE_FOR, MAX_TRIES)
        books = self._books.setdefault(group, Books(self._kept, ""))
        late = books.pass_until(self._clock.now())
        before = books.held_by(name)
        deliveries = await self._log.claim(member)
        books.alive_until[name] = self._clock.now() + ALIVE_FOR
        if name in late:
            assert [] == deliveries, "6: others come first"
            return
        for delivery in deliveries:
            self._judge(books, member, delivery)
            books.holders[delivery.event.position] = name
        if deliveries and not before:
            books.since[name] = self._clock.now()
        assert len(before) + len(deliveries) <= max(max_in_flight, len(before)), (
            "4: no more than there is room for"
        )
        if not deliveries and len(before) < max_in_flight:
            assert [] == books.for_member(member), "1: nothing is kept back"

    @staticmethod
    def _judge(books: Books, member: Member, delivery: Delivery) -> None:
        entry = delivery.event
        possible = books.for_member(member)
        assert entry in possible, "2, 3, 8, 10: it is open, free, of a corp that is free, wanted and kept"
        earlier = [
            other for other in possible if other.corp_id == entry.corp_id and other.position < entry.position
        ]
        assert [] == earlier, "3: in the log's order"
        assert books.attempts.get(entry.position, 0) == delivery.attempts, (
            "5, 7: tries are spent by a fault only"
        )
        assert books.losses.get(entry.position, 0) + 1 == delivery.count, "11: every delivery counts"

    async def acknowledge_held(self, group: str, name: str, chosen: list[int]) -> None:
        if group in self._books and (held := self._books[group].held_by(name)):
            await self._acknowledge(group, [held[number % len(held)] for number in chosen])

    async def acknowledge_any(self, group: str, chosen: list[int]) -> None:
        of_use = [entry.position for entry in self._kept if wanted(group, entry)]
        if of_use:
            await self._acknowledge(group, [of_use[number % len(of_use)] for number in chosen])

    async def _acknowledge(self, group: str, positions: list[str]) -> None:
        count = await self._log.acknowledge(APP, group, positions)
        if group not in self._books:
            assert 0 == count
            return
        books = self._books[group]
        books.pass_until(self._clock.now())
        open_or_dead = {entry.position for entry in books.open()} | books.dead
        assert len(open_or_dead.intersection(positions)) == count
        for position in open_or_dead.intersection(positions):
            if holder := books.holders.pop(position, None):
                books.since[holder] = self._clock.now()
            books.handled.add(position)
            books.dead.discard(position)
            books.attempts.pop(position, None)

    async def release(self, group: str, name: str, counts_as_attempt: bool = True) -> None:
        await self._log.release(APP, group, name, counts_as_attempt=counts_as_attempt)
        if group in self._books:
            books = self._books[group]
            books.pass_until(self._clock.now())
            books.lose(name, counts_as_attempt=counts_as_attempt)
            books.alive_until.pop(name, None)

    async def retry(self, group: str, chosen: list[int]) -> None:
        books = self._books.get(group)
        dead = sorted(books.dead) if books else []
        positions = [dead[number % len(dead)] for number in chosen if dead]
        assert len(set(positions)) == await self._log.retry(APP, group, positions)
        if books:
            books.pass_until(self._clock.now())
            books.dead -= set(positions)
            for position in positions:
                books.attempts.pop(position, None)

    async def rewind(self, group: str, chosen: int) -> None:
        positions = [
            "0000000000001-000000",
            *[entry.position for entry in self._kept],
            "9999999999999-000000",
        ]
        position = positions[chosen % len(positions)]
        await self._log.rewind(APP, group, position)
        end = self._kept[-1].position + "~" if self._kept else ""
        self._books[group] = Books(self._kept, min(position, end))

    async def pass_(self, seconds: float) -> None:
        await self._clock.advance(timedelta(seconds=seconds))

    async def compare(self) -> None:
        """Hold what the log says of each group against the books."""
        lags = {lag.group: lag for lag in await self._log.lags(APP)}
        assert self._books.keys() == lags.keys()
        for group, books in self._books.items():
            books.pass_until(self._clock.now())
            await self._compare(group, books, lags[group])

    async def _compare(self, group: str, books: Books, lag: Lag) -> None:
        dead = await self._log.dead(APP, group, "", 1000)
        assert sorted(books.dead) == [entry.position for entry in dead], (
            "7: who spent all its tries, nobody else"
        )
        assert self._kept == await self._log.read(APP, "", 1000), "1, 10: what retention says"
        unhandled = books.open()
        certain = [entry for entry in unhandled if wanted(group, entry)]
        assert len(certain) <= lag.open <= len(unhandled)
        if len(certain) == len(unhandled):
            stuck = unhandled[0].position if unhandled else ""
            oldest = came(stuck) if stuck else None
            attempts, members = books.attempts.get(stuck, 0), len(books.alive_until)
            figures = (len(unhandled), len(books.dead), oldest, stuck, attempts, members)
            assert Lag(APP, group, *figures) == lag

    async def drain(self) -> None:
        """Let everybody leave, and somebody handle what is open: all of it comes, and nothing else."""
        for group, books in self._books.items():
            for name in list(books.alive_until):
                await self.release(group, name)
            expected = [entry.position for entry in books.open() if wanted(group, entry)]
            seen: list[str] = []
            while True:
                await self.claim(group, "last", 100)
                held = books.held_by("last")
                if not held:
                    break
                seen += held
                await self._acknowledge(group, held)
            assert expected == sorted(seen), "1: nothing is lost"


def came(position: str) -> datetime:
    return datetime.fromtimestamp(int(position[:13]) / 1000, UTC)


def wanted(group: str, entry: Entry) -> bool:
    return not WANTED[group] or entry.event_type in WANTED[group]


Opened = AbstractAsyncContextManager[EventStore]


@asynccontextmanager
async def in_memory(clock: FakeClock) -> AsyncIterator[EventStore]:
    yield MemoryEventLog(MemoryStore(Shared(clock)), SharedLogs(clock))


@asynccontextmanager
async def in_a_file(clock: FakeClock) -> AsyncIterator[EventStore]:
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        async with open_sqlite(Path(folder) / "store.db", clock) as store:
            yield SqliteEventLog(store.connection, clock)


def hold_to_the_rules(program: list[Step], opened: Callable[[FakeClock], Opened]) -> None:
    async def run() -> None:
        clock = FakeClock()
        async with opened(clock) as log:
            rules = Rules(log, clock)
            for step in program:
                await rules.do(("pass_", step[1]) if step[0] == "pass" else step)
            await rules.compare()
            await rules.drain()
            await rules.compare()

    asyncio.run(run())


many = settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(many, max_examples=MANY // 2)


@many
@given(programs)
def test_the_log_of_the_kit_keeps_its_promises(program: list[Step]) -> None:
    hold_to_the_rules(program, in_memory)


@pytest.fixture(scope="module")
def patient_file() -> Iterator[None]:
    """Wait for a thread of a busy machine; how long a file may take has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("broker.adapters.sqlite.group_commit.QUEUE_SECONDS", 60.0)
        patch.setattr("broker.adapters.sqlite.group_commit.EXECUTION_SECONDS", 60.0)
        yield


@some
@given(program=programs)
def test_the_embedded_log_keeps_its_promises(patient_file: None, program: list[Step]) -> None:
    hold_to_the_rules(program, in_a_file)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server, pytest.MonkeyPatch.context() as patch:
        # A busy machine is no outage; how long Redis may take has tests of its own.
        patch.setattr("broker.adapters.redis.servers.port.ANSWER_SECONDS", 60.0)
        yield server


class TimedClient:
    """A client to a Redis whose time is the test's."""

    def __init__(self, client: RedisClient, clock: FakeClock) -> None:
        self._client = client
        self._clock = clock
        self.run = client.run

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        return self._timed(text, self._client.script)

    def batched(self, text: str) -> Callable[..., Awaitable[Any]]:
        return self._timed(text, BatchedWrites(self._client, None, on_disk=False, at_once=1).script)

    def _timed(
        self, text: str, script_of: Callable[[str], Callable[..., Awaitable[Any]]]
    ) -> Callable[..., Awaitable[Any]]:
        assert "redis.call('TIME')" in text
        script = script_of(text.replace("redis.call('TIME')", "redis.call('MGET', 'seconds', 'micros')"))

        async def call(keys: list[str], arguments: list[Any]) -> Any:
            now = self._clock.now()
            time = {"seconds": int(now.timestamp()), "micros": now.microsecond}
            await self._client.run(lambda redis: redis.mset(time))
            return await script(keys, arguments)

        return call


@some
@given(program=programs)
def test_the_log_of_a_fleet_keeps_its_promises(server: RedisServer, program: list[Step]) -> None:
    @asynccontextmanager
    async def in_redis(clock: FakeClock) -> AsyncIterator[EventStore]:
        async with connect_redis(server.url) as client:
            timed = TimedClient(client, clock)
            log = RedisEventLog(timed, f"test-{secrets.token_hex(4)}")  # type: ignore[arg-type]
            log._append = timed.batched(APPEND)
            yield log

    hold_to_the_rules(program, in_redis)
