"""Somebody writes to the progress of a group in Redis: the group goes on, and so do the others."""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.storage.parked_events import PARKED, ParkedEvents
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.domain.events.log import Entry
from broker.domain.ports.event_log import EventLog
from tests.contract.event_fleets import ENTRIES
from tests.contract.events import ANA, APP, BEN, GROUP, append, appended, lag, positions, takes_all, words
from tests.contract.observer import Notebook
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

pytestmark = pytest.mark.usefixtures("patient_client")
NUMBERS = ["x", "", "nan", "inf", "-5", "1.5", "1e300", "9" * 18, "9" * 400]
PLACE = "{place}"
"""Stands for that of an event that ana holds."""
ITEMS = [
    "",
    "o",
    "o~",
    "o" + "~" * 30,
    "o9999999999999-999999a",
    "h3:ana:",
    "h3:ana:garbage",
    "h3:ana:1:a",
    "h3:ana:1:a:short",
    "h3:ana:9:a:9999999999999-999999",
    "h99999:",
    "w1:a:",
    "w1:a:x",
    "w1:a:9999999999999-999999",
    "w1:z:" + "~" * 20,
    "r",
    "r0::",
    "r0::x",
    "r0::0000000000000-000000",
    "r0::0000000000000-000000a",
    "r0::0000000000000-000000z",
    "r3:ana:",
    "r3:ana:0000000000000-000000z",
    "d",
    "dx",
    "d9999999999999-999999",
    "s",
    "sx",
    f"s{PLACE}",
    "\x00",
    b"\xff\xfe",
]
FIELDS = [
    *[(f"tries:{PLACE}", number) for number in NUMBERS],
    *[(f"losses:{PLACE}", number) for number in NUMBERS],
    *[("number", number) for number in NUMBERS],
    *[("place", place) for place in ("9999999999999-999999", "0-0", "9-9", "99999999999999999-9")],
    *[("terms:ana", f"{number} {number} {number}") for number in NUMBERS],
    *[("owner:a", owner) for owner in ("ghost", b"\xff", "")],
    *[("owner:c", owner) for owner in ("ghost", b"\xff", "")],
]
SCORES = [
    *[(name, score) for name in ("dana", "aana", "dghost", "aghost") for score in ("inf", "-inf", "1e300")],
    *[(name, "0") for name in ("", "a", "d", "x", b"d\xff", "dghost")],
]


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def client(redis_server: RedisServer, notebook: Notebook) -> AsyncIterator[RedisClient]:
    async with connect_redis(redis_server.url, notebook) as client:
        yield client


@pytest.fixture
def store(client: RedisClient) -> RedisEventLog:
    return RedisEventLog(client, f"test-{secrets.token_hex(4)}")


@pytest.fixture
def log(store: RedisEventLog, notebook: Notebook) -> EventLog[Entry]:
    return SealedEventLog(store, Seal([SealKey("k1", os.urandom(32))]), ENTRIES, notebook)


async def held_by_ana(log: EventLog[Entry], store: RedisEventLog) -> str:
    """Let ana hold one event of a, of two; return its place. One is waiting, one is dead."""
    await appended(log, "a1 a2 d1")
    found = await takes_all(log, replace(ANA, max_in_flight=1))
    assert "a1" == words(found)
    [dead] = [delivery for delivery in await takes_all(log, BEN) if delivery.event.corp_id == "d"]
    await store.give_up(APP, GROUP, positions([dead]))
    return positions(found)[0]


async def goes_on(log: EventLog[Entry], store: RedisEventLog, place: str) -> None:
    """Do all that is done with a group; fail if any of it fails, or a new event does not come through."""
    async with asyncio.timeout(20):
        await lag(store)
        await append(log, "c", b"c1")
        found = [*await takes_all(log, ANA), *await takes_all(log, BEN)]
        await lag(store)  # as the maintenance does
        for member in ("ana", "ben"):
            await store.release(APP, GROUP, member)
        found += [*await takes_all(log, BEN), *await takes_all(log, ANA)]
        await log.dead(APP, GROUP, "", 10)
        await store.retry(APP, GROUP, [place])
        await store.acknowledge(APP, GROUP, [place, *positions(found)])
        await store.give_up(APP, GROUP, [place])
        await store.forget_groups(APP, timedelta(days=1))
        measured = await lag(store)

    assert "c1" in words(found)
    assert 0 <= measured.open <= 10
    assert 0 <= measured.dead <= 10


@pytest.mark.parametrize("item", ITEMS, ids=repr)
async def test_an_odd_item_of_the_index(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, item: str | bytes
) -> None:
    place = await held_by_ana(log, store)
    _, index, _ = store._keys.group(APP, GROUP)
    text = item.replace(PLACE, place) if isinstance(item, str) else item
    await client.run(lambda redis: redis.zadd(index, {text: 0}))

    await goes_on(log, store, place)


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=lambda part: repr(part)[:24])
async def test_an_odd_field_of_the_state(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, field: str, value: str | bytes
) -> None:
    place = await held_by_ana(log, store)
    state, *_ = store._keys.group(APP, GROUP)
    await client.run(lambda redis: redis.hset(state, field.replace(PLACE, place), value))

    await goes_on(log, store, place)


@pytest.mark.parametrize(("name", "score"), SCORES, ids=repr)
async def test_an_odd_time_of_a_member(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, name: str | bytes, score: str
) -> None:
    place = await held_by_ana(log, store)
    *_, times = store._keys.group(APP, GROUP)
    await client.run(lambda redis: redis.zadd(times, {name: score}))

    await goes_on(log, store, place)


@pytest.mark.parametrize(
    "name", ["", b"\xff\xfe", "a" * 100_000, "\x00", "x}:y", "/"], ids=lambda name: repr(name)[:12]
)
@pytest.mark.parametrize("score", ["inf", "-inf", "0"])
async def test_an_odd_name_among_the_groups(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, name: str | bytes, score: str
) -> None:
    place = await held_by_ana(log, store)
    *_, groups = store._keys.log(APP)
    await client.run(lambda redis: redis.zadd(groups, {name: score}))

    await goes_on(log, store, place)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
async def test_an_odd_number_of_the_newest_event(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, number: str
) -> None:
    place = await held_by_ana(log, store)
    _, head, _ = store._keys.log(APP)
    await client.run(lambda redis: redis.hset(head, "number", number))

    await goes_on(log, store, place)


@pytest.mark.parametrize("ready", ["r0::0000000000000-000000a", "r0::", "r3:ana:"])
async def test_many_forged_items_do_not_keep_redis_busy(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, ready: str
) -> None:
    place = await held_by_ana(log, store)
    _, index, _ = store._keys.group(APP, GROUP)
    await client.run(lambda redis: redis.zadd(index, {f"{ready}{number}": 0 for number in range(5_000)}))

    await goes_on(log, store, place)


async def test_nothing_is_handed_out_twice_without_an_attack(
    log: EventLog[Entry], store: RedisEventLog
) -> None:
    await goes_on(log, store, await held_by_ana(log, store))
    assert "" == words(await takes_all(log, ANA))


@pytest.mark.parametrize(
    "name",
    [
        '["\\ud800", "g", "1-1", "new"]',
        '["crm", "\\udfff", "1-1", "new"]',
        '["crm", "g", "\\ud800-1", "new"]',
        '["crm", "g", "1-1", "\\ud800"]',
        json.dumps(["crm", "g" * 100_000, "x", "new"]),
        json.dumps(["}:x", "{", "9" * 5_000 + "-1", "new"]),
        b"\xff\xfe",
    ],
    ids=lambda name: repr(name)[:40],
)
async def test_an_odd_name_among_the_parked_events_hides_no_other(
    store: RedisEventLog, client: RedisClient, notebook: Notebook, name: str | bytes
) -> None:
    old, new = SealKey("old", os.urandom(32)), SealKey("new", os.urandom(32))
    names = RedisStore(client, f"test-{secrets.token_hex(4)}", SystemClock(), notebook)
    lacking = Seal([old])
    await append(SealedEventLog(store, Seal([new]), ENTRIES, notebook), "a", b"a1")
    log = SealedEventLog(store, lacking, ENTRIES, notebook, ParkedEvents(names, store, lacking))
    assert "" == words(await takes_all(log, ANA))
    await client.run(lambda redis: redis.zadd(names._keys.names(PARKED), {name: 1e14}))

    lacking.replace([old, new])
    await ParkedEvents(names, store, lacking).bring_back()
    assert "a1" == words(await takes_all(log, ANA))
