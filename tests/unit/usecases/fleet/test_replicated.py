"""Copies in memory, kept in step with the store and the other replicas (engine rule 9)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from broker.domain.errors import StoreUnavailable, UnknownApp
from broker.domain.ports.collection import Stored
from broker.domain.ports.store import Lease, Notice, NoticeKind
from broker.usecases.fleet.replicated import (
    BATCH,
    BREATH,
    COMPARED_IN_A_ROW,
    FRUITLESS,
    PAUSE,
    Replicated,
)
from tests.kit.memory.fake_clock import FakeClock, settle

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Value:
    key: str
    fence: int
    current: bool = True
    app: str = ""

    def reconciled(self, other: "Value") -> "Value":
        return max(self, other, key=lambda value: value.fence)

    def is_worth_sharing(self, now: datetime) -> bool:
        return self.current


class Memory:
    """Copies in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def held(self) -> list[str]:
        return list(self.values)

    def key_named(self, name: str) -> str | None:
        return name if name in self.values else None

    def get(self, key: str) -> Value | None:
        return self.values.get(key)

    async def adopt(self, value: Value) -> None:
        held = self.values.get(value.key)
        if held is None or held.fence < value.fence:
            self.values[value.key] = value

    def drop(self, key: str) -> None:
        self.values.pop(key, None)


class Collection:
    """A store that may be slow, away, or refuse writes."""

    def __init__(self, clock: FakeClock) -> None:
        self.stored: dict[str, Value | int] = {}
        self.delay = timedelta(0)
        self.away = self.read_only = self.locked = self.hidden = False
        self.loads = 0
        self.writes: list[Value] = []
        self.app = "present"
        self._clock = clock

    def name_of(self, key: str) -> str:
        return key

    def is_current(self, value: Value) -> bool:
        return value.app in ("", self.app)

    async def load(self, keys: Sequence[str]) -> dict[str, Stored[Value]]:
        if self.away:
            raise StoreUnavailable("away")
        self.loads += 1
        if self.hidden:
            await self._clock.sleep(self.delay)
            return {}
        if self.locked:
            return {key: Stored(2, None, is_readable=False) for key in keys if key in self.stored}
        found = {key: self.stored[key] for key in keys if key in self.stored}
        await self._clock.sleep(self.delay)
        return {key: self._stored(value) for key, value in found.items()}

    def _stored(self, value: Value | int) -> Stored[Value]:
        if isinstance(value, int):
            return Stored(value, None)
        is_current = self.is_current(value)
        return Stored(value.fence, value if is_current else None, is_others=not is_current)

    async def find(self, key: str) -> Value | None:
        stored = (await self.load([key])).get(key)
        return stored.value if stored else None

    async def commit(self, value: Value, lease: Lease) -> bool:
        return await self.offer(value)

    async def offer(self, value: Value) -> bool:
        if self.away or self.read_only:
            raise StoreUnavailable("it takes no writes")
        self.writes.append(value)
        held = self.stored.get(value.key)
        if isinstance(held, Value) and held.fence >= value.fence:
            return False
        self.stored[value.key] = value
        return True

    async def supplant(self, value: Value) -> bool:
        return await self.offer(value)

    async def forget(self, key: str, fence: int) -> None:
        self.stored[key] = fence


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> Collection:
    return Collection(clock)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def replicated(
    store: Collection, memory: Memory, clock: FakeClock
) -> AsyncIterator[Replicated[str, Value]]:
    replicated: Replicated[str, Value] = Replicated(store, memory, clock)
    running = asyncio.create_task(replicated.run())
    yield replicated
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def committed(value: Value) -> Notice:
    return Notice(NoticeKind.COMMITTED, value.key, value.fence)


OLD, NEW = Value("a", 1), Value("a", 2)
OFFLINE = Lease("a", "", 2, SECOND)


async def test_what_another_replica_commits_is_taken_over(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(OLD)
    store.stored["a"] = NEW
    replicated.on_notice(committed(NEW))
    await settle()

    assert NEW == memory.get("a")


async def test_what_nobody_here_holds_is_left_alone(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    store.stored["a"] = NEW
    replicated.on_notice(committed(NEW))
    await settle()

    assert [] == memory.held()


async def test_a_commit_during_the_first_look_is_not_missed(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, clock: FakeClock
) -> None:
    store.stored["a"], store.delay = OLD, SECOND
    looking = asyncio.create_task(replicated.look("a"))
    await settle()
    store.stored["a"] = NEW
    replicated.on_notice(committed(NEW))
    await clock.advance(3 * SECOND)

    await looking
    assert NEW == memory.get("a")


async def test_a_look_returns_the_newer_of_store_and_memory(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(NEW)
    store.stored["a"] = OLD

    assert NEW == await replicated.look("a")


async def test_what_was_forgotten_is_dropped_unless_it_is_newer(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(NEW)
    store.stored["a"] = OLD.fence
    replicated.on_notice(Notice(NoticeKind.FORGOTTEN, "a", OLD.fence))
    await settle()
    assert NEW == memory.get("a")

    store.stored["a"] = NEW.fence
    replicated.on_notice(Notice(NoticeKind.FORGOTTEN, "a", NEW.fence))
    await settle()
    assert None is memory.get("a")


async def test_a_forged_notice_of_forgetting_drops_nothing(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(NEW)
    store.stored["a"] = NEW
    replicated.on_notice(Notice(NoticeKind.FORGOTTEN, "a", 2**53))
    await settle()

    assert NEW == memory.get("a")


async def test_what_cannot_be_read_yet_is_neither_replaced_nor_dropped_nor_looked_at_again(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, clock: FakeClock
) -> None:
    await memory.adopt(OLD)
    store.stored["a"], store.locked = NEW, True
    replicated.on_notice(committed(NEW))
    await clock.advance(60 * SECOND)

    assert OLD == memory.get("a")
    assert [] == store.writes
    assert 1 == store.loads


async def test_what_lacked_a_key_is_read_as_soon_as_the_key_is_here(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, clock: FakeClock
) -> None:
    await memory.adopt(OLD)
    store.stored["a"], store.locked = NEW, True
    replicated.on_notice(committed(NEW))
    await settle()
    store.locked = False
    replicated.on_notice(Notice(NoticeKind.READABLE))
    await settle()

    assert NEW == memory.get("a")


async def test_a_store_that_contradicts_itself_keeps_no_replica_busy(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, clock: FakeClock
) -> None:
    """It never shows what is stored, and takes nothing in its place."""
    await memory.adopt(OLD)
    store.stored["a"], store.hidden = NEW, True
    replicated.on_notice(committed(NEW))
    await clock.advance(10 * SECOND)

    assert store.loads < 10 * SECOND / BREATH + 2 * FRUITLESS
    store.hidden = False
    await clock.advance(SECOND)
    assert NEW == memory.get("a")


async def test_forged_notices_keep_no_replica_busy(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, clock: FakeClock
) -> None:
    await memory.adopt(OLD)
    store.stored["a"] = OLD
    for _ in range(1000):
        replicated.on_notice(Notice(NoticeKind.COMMITTED, "a", 2**53))
        await settle()

    assert store.loads < 2 * FRUITLESS


async def test_what_a_replica_without_a_store_fetched_is_served_though_the_store_refuses_it(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    store.stored["a"], store.hidden = NEW, True

    assert await replicated.publish("a", OLD, OFFLINE)
    assert OLD == memory.get("a")


@pytest.mark.parametrize("lost", [{}, {"a": OLD}])
async def test_a_store_that_lost_what_is_here_gets_it_back(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, lost: dict[str, Value | int]
) -> None:
    await memory.adopt(NEW)
    store.stored = dict(lost)
    replicated.on_notice(Notice(NoticeKind.CONNECTED))
    await settle()

    assert NEW == store.stored["a"]


async def test_what_is_no_longer_true_is_not_given_back(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(replace(NEW, current=False))
    replicated.on_notice(Notice(NoticeKind.CONNECTED))
    await settle()

    assert {} == store.stored


async def test_a_tombstone_that_was_missed_is_found_on_reconnecting(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(OLD)
    store.stored["a"] = NEW.fence
    replicated.on_notice(Notice(NoticeKind.CONNECTED))
    await settle()

    assert None is memory.get("a")


@pytest.mark.parametrize("trouble", ["away", "read_only"])
async def test_what_a_store_could_not_take_counts_here_and_is_offered_until_it_has_it(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, clock: FakeClock, trouble: str
) -> None:
    setattr(store, trouble, True)
    assert await replicated.publish("a", NEW, OFFLINE)
    await clock.advance(10 * PAUSE)
    assert NEW == memory.get("a")
    assert {} == store.stored

    setattr(store, trouble, False)
    await clock.advance(PAUSE)

    assert NEW == store.stored["a"]
    assert [NEW] == store.writes


async def test_a_new_connection_ends_the_pause(
    replicated: Replicated[str, Value], store: Collection, clock: FakeClock
) -> None:
    store.away = True
    await replicated.publish("a", NEW, OFFLINE)
    await settle()
    store.away = False
    replicated.on_notice(Notice(NoticeKind.CONNECTED))
    await settle()

    assert NEW == store.stored["a"]


async def test_what_came_too_late_is_not_held(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    store.stored["a"] = NEW

    assert not await replicated.publish("a", OLD, Lease("a", "owner", 1, SECOND))
    assert None is memory.get("a")


async def test_what_was_fetched_for_an_app_that_lost_its_name_is_neither_written_nor_held(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    with pytest.raises(UnknownApp):
        await replicated.publish("a", replace(NEW, app="former"), Lease("a", "owner", 2, SECOND))

    assert [] == store.writes
    assert None is memory.get("a")


async def test_an_app_may_lose_its_name_while_what_it_fetched_is_written(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    written = store.offer

    async def offer(value: Value) -> bool:
        is_written = await written(value)
        store.app = "another"
        return is_written

    store.offer = offer  # type: ignore[method-assign]
    with pytest.raises(UnknownApp):
        await replicated.publish("a", replace(NEW, app="present"), Lease("a", "owner", 2, SECOND))

    assert None is memory.get("a")


@pytest.mark.parametrize("fence", [NEW.fence, NEW.fence + 1])
async def test_what_is_here_stays_here_and_is_not_offered_where_another_app_has_something_newer(
    replicated: Replicated[str, Value], store: Collection, memory: Memory, fence: int
) -> None:
    await memory.adopt(NEW)
    store.stored["a"] = others = Value("a", fence, app="another")
    replicated.on_notice(Notice(NoticeKind.CONNECTED))
    await settle()

    assert NEW == memory.get("a")
    assert others == store.stored["a"]
    assert [] == store.writes


async def test_what_is_here_takes_the_place_of_something_older_of_another_app(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    await memory.adopt(NEW)
    store.stored["a"] = replace(OLD, app="another")
    replicated.on_notice(Notice(NoticeKind.CONNECTED))
    await settle()

    assert NEW == store.stored["a"]


async def test_while_hundreds_are_compared_calls_get_their_turn(
    replicated: Replicated[str, Value], store: Collection, memory: Memory
) -> None:
    turns, compared_at = 0, Counter[int]()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Watched(Value):
        def reconciled(self, other: Value) -> Value:
            compared_at[turns] += 1
            return super().reconciled(other)

    for number in range(BATCH):
        await memory.adopt(Watched(str(number), 1))
        store.stored[str(number)] = Value(str(number), 2)
    others = asyncio.create_task(take_turns())
    replicated.look_again(memory.held())
    while sum(compared_at.values()) < BATCH:
        await asyncio.sleep(0)
    others.cancel()

    assert COMPARED_IN_A_ROW >= max(compared_at.values())
