"""`Resealing` on each store: all gets the first key beside brokers that serve, and nothing else changes."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.adapters.redis.at_rest import RedisAtRest
from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.at_rest import SqliteAtRest
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.storage.reseal import Resealed, Resealing
from broker.adapters.storage.seal import Seal, SealKey, sealed_by
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_check import check_seal, proves_a_key
from broker.domain.ports.at_rest import AtRest
from broker.domain.ports.event_log import EventStore
from broker.domain.ports.store import Record, Store
from tests.contract.event_fleets import ENTRIES
from tests.contract.events import ANA, APP, GROUP, KEEP, append, appended, takes
from tests.contract.making import FAR
from tests.contract.observer import Notebook
from tests.contract.sealed import SealedStore
from tests.kit.redis_at import connect_redis

pytestmark = pytest.mark.usefixtures("patient_client")
OLD, NEW, STRANGE = SealKey("k1", bytes(32)), SealKey("k2", bytes([2] * 32)), SealKey("k9", bytes([9] * 32))
NAMES = ["access_token:crm", "session:1", "permanent_code:market:ww1", "shares:crm", "error:crm"]


@dataclass(frozen=True)
class Place:
    """A store, unsealed."""

    store: Store
    events: EventStore
    at_rest: AtRest
    redis: RedisClient | None = None
    prefix: str = ""

    def records(self, *keys: SealKey) -> SealedStore:
        return SealedStore(self.store, Seal(keys), Notebook())

    def log(self, *keys: SealKey) -> SealedEventLog:
        return SealedEventLog(self.events, Seal(keys), ENTRIES, Notebook())

    async def reseal(self, *keys: SealKey) -> Resealed:
        async for done in Resealing(self.at_rest, Seal(keys), proves_a_key).run():
            last = done
        return last


@pytest.fixture(params=["redis", "sqlite"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            store = await stack.enter_async_context(open_sqlite(tmp_path / "broker.db", SystemClock()))
            connection = store.connection
            yield Place(store, SqliteEventLog(connection, SystemClock()), SqliteAtRest(connection))
        else:
            url = request.getfixturevalue("redis_server").url
            client = await stack.enter_async_context(connect_redis(url))
            prefix = f"test-{secrets.token_hex(4)}"
            shared = RedisStore(client, prefix, SystemClock(), Notebook())
            rest = RedisAtRest(client, prefix)
            yield Place(shared, RedisEventLog(client, prefix), rest, client, prefix)


async def test_all_opens_with_the_new_key_alone_and_nothing_else_changed(place: Place) -> None:
    for number, name in enumerate(NAMES, 1):
        await place.records(OLD).offer(Record(name, number, name.encode(), FAR))
    given = await appended(place.log(OLD), "a1 b1 a2")
    assert "a1 b1 a2" == await takes(place.log(OLD), ANA)
    await place.events.acknowledge(APP, GROUP, given[:1])
    await place.events.release(APP, GROUP, ANA.name)

    done = await place.reseal(NEW, OLD)

    assert done.is_complete
    assert 3 == done.resealed["events"]
    assert {name.partition(":")[0] for name in NAMES} == done.resealed.keys() - {"events"}
    found = await place.records(NEW).load(NAMES)
    assert [(number, name.encode()) for number, name in enumerate(NAMES, 1)] == [
        (found[name].fence, found[name].payload) for name in NAMES
    ]
    assert given == [entry.position for entry in await place.events.read(APP, "", 10)]
    assert "b1 a2" == await takes(place.log(NEW), ANA)


async def test_a_second_run_has_nothing_to_do(place: Place) -> None:
    await place.records(OLD).offer(Record(NAMES[0], 1, b"payload", FAR))
    await appended(place.log(OLD), "a1")
    await place.reseal(NEW, OLD)
    done = await place.reseal(NEW, OLD)

    assert done.is_complete
    assert not done.resealed
    assert {"access_token": 1, "events": 1} == done.current


async def test_tombstones_stay_and_what_proves_a_key_stays_under_it(place: Place) -> None:
    await check_seal(place.store, [OLD, NEW])
    await place.records(OLD).offer(Record(NAMES[0], 1, b"payload", FAR))
    await place.store.forget(NAMES[0], 1)
    await place.reseal(NEW, OLD)

    assert (await place.store.load([NAMES[0]]))[NAMES[0]].is_tombstone
    await check_seal(place.store, [OLD])
    await check_seal(place.store, [NEW])


async def test_an_unknown_key_is_named_and_what_does_not_open_is_counted(place: Place) -> None:
    await place.records(STRANGE).offer(Record(NAMES[0], 1, b"payload", FAR))
    await place.store.offer(Record(NAMES[1], 1, b"\x02k1 garbage that is long enough to be sealed", FAR))
    await appended(place.log(STRANGE), "a1")
    done = await place.reseal(NEW, OLD)

    assert not done.is_complete
    assert {"k9": 2} == done.missing_keys
    assert (1, 1, 1) == (done.unknown["access_token"], done.unknown["events"], done.broken["session"])


async def test_a_record_that_changed_meanwhile_is_not_overwritten(place: Place) -> None:
    old = place.records(OLD)
    await old.offer(Record(NAMES[0], 1, b"older", FAR))
    [(name, before)] = [found async for found in place.at_rest.records()]
    await place.records(NEW, OLD).offer(Record(NAMES[0], 2, b"newer", FAR))

    assert not await place.at_rest.exchange(name, before, b"older, sealed anew")
    assert b"newer" == (await place.records(NEW).load(NAMES))[NAMES[0]].payload


async def test_a_broker_that_still_seals_with_the_old_key_is_noticed(place: Place) -> None:
    await place.records(OLD).offer(Record(NAMES[0], 1, b"payload", FAR))
    steps = Resealing(place.at_rest, Seal([NEW, OLD]), proves_a_key).run()
    await anext(steps)
    await place.records(OLD).offer(Record(NAMES[1], 1, b"payload", FAR))
    async for last in steps:
        done = last

    assert {"k1": 1} == done.late_keys
    assert not done.is_complete
    assert (await place.reseal(NEW, OLD)).is_complete


@pytest.mark.parametrize("place", ["redis"], indirect=True)
async def test_events_that_come_meanwhile_are_neither_lost_nor_doubled(place: Place) -> None:
    log = place.log(NEW, OLD)
    given = await appended(place.log(OLD), " ".join(f"a{number}" for number in range(450)))
    stop = asyncio.Event()

    async def goes_on() -> None:
        while not stop.is_set():
            given.append(await append(log, "b", b"b1"))
            await asyncio.sleep(0)

    appending = asyncio.create_task(goes_on())
    done = await place.reseal(NEW, OLD)
    stop.set()
    await appending

    assert done.resealed["events"] == 450
    read: list[str] = []
    while page := await place.log(NEW).read(APP, read[-1] if read else "", 500):
        read += [entry.position for entry in page]
    assert given == read


@pytest.mark.parametrize("place", ["redis"], indirect=True)
async def test_what_retention_removes_meanwhile_stays_removed(place: Place) -> None:
    await appended(place.log(OLD), " ".join(f"a{number}" for number in range(300)))
    seal = Seal([NEW, OLD])

    def change(_app: str, payload: bytes) -> bytes:
        return seal.close("event:crm", seal.open("event:crm", payload))

    keep = replace(KEEP, count=100)
    changing = asyncio.create_task(place.at_rest.exchange_events(APP, change))
    given = [await append(place.log(NEW, OLD), "b", b"b1", keep=keep) for _ in range(50)]
    await changing

    entries = await place.events.read(APP, "", 1000)
    assert 100 == len(entries)
    assert given == [entry.position for entry in entries[50:]]


@pytest.mark.parametrize("place", ["redis"], indirect=True)
async def test_no_copy_is_left_and_the_log_does_not_expire(place: Place) -> None:
    assert place.redis
    await appended(place.log(OLD), "a1")
    await place.reseal(NEW, OLD)
    keys = RedisKeys(place.prefix)
    found = await place.redis.run(lambda redis: redis.keys(f"{keys.log(APP)[0]}*"))

    assert [keys.log(APP)[0].encode()] == found
    assert -1 == await place.redis.run(lambda redis: redis.pttl(keys.log(APP)[0]))
    assert {"k2"} == {sealed_by(entry.payload) for entry in await place.events.read(APP, "", 9)}
