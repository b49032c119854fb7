"""Somebody writes to the event log in Redis: one entry is given up, and the others go on."""

import os
import secrets
from collections.abc import AsyncIterator

import pytest

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.domain.events.log import Entry
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Damage
from tests.contract.event_fleets import ENTRIES
from tests.contract.events import ANA, APP, GROUP, append, appended, lag, takes, takes_all, words
from tests.contract.observer import Notebook
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

pytestmark = pytest.mark.usefixtures("patient_client")
FORMS: list[dict[str | bytes, str | bytes]] = [
    {"x": "y"},
    {"corp": "a"},
    {"payload": b"\xff"},
    {"corp": b"\xff\xfe", "type": b"\xff", "payload": b"x", "number": "many"},
    {"number": "-1", "payload": "", "type": "text", "corp": "a"},
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


@pytest.mark.parametrize("fields", FORMS, ids=str)
async def test_an_entry_of_another_form_is_given_up_and_told_and_the_others_flow(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, notebook: Notebook, fields: dict
) -> None:
    key = store._keys.log(APP)[0]
    await append(log, "a", b"a1")
    await client.run(lambda redis: redis.xadd(key, fields))
    await append(log, "b", b"b1")

    assert "a1 b1" == words(await log.read(APP, "", 10))
    notebook.damage.clear()
    assert "a1 b1" == words(await takes_all(log, ANA))
    assert [Damage.EVENT] == notebook.damage
    assert 1 == (await lag(store)).dead


@pytest.mark.parametrize("place", ["5-99999999", "5-18446744073709551615"])
async def test_an_entry_at_a_place_that_is_none_is_passed_over(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, place: str
) -> None:
    await client.run(lambda redis: redis.xadd(store._keys.log(APP)[0], {"x": "y"}, id=place))
    await appended(log, "a1 b1")

    assert "a1 b1" == words(await takes_all(log, ANA))


@pytest.mark.parametrize("place", ["9999999999999-999999", "99999999999999-0", "18446744073709551615-1"])
@pytest.mark.parametrize("deleted", [False, True])
async def test_an_entry_from_the_future_keeps_no_event_out(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, place: str, deleted: bool
) -> None:
    key = store._keys.log(APP)[0]
    await append(log, "a", b"a1")
    await client.run(lambda redis: redis.xadd(key, {"x": "y"}, id=place))
    if deleted:
        await client.run(lambda redis: redis.xdel(key, place))
    await append(log, "b", b"b1")

    assert "a1 b1" == words(await takes_all(log, ANA))


@pytest.mark.parametrize("place", ["", "x", "9999999999999-999999", "99999999999999-0", "1-1"])
async def test_a_poisoned_head_keeps_no_event_out(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, place: str
) -> None:
    await append(log, "a", b"a1")
    poisoned = {"place": place, "number": "many"}
    await client.run(lambda redis: redis.hset(store._keys.log(APP)[1], mapping=poisoned))
    await append(log, "b", b"b1")

    assert "a1 b1" == words(await takes_all(log, ANA))
    await lag(store)


async def test_a_poisoned_group_goes_on(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient
) -> None:
    await appended(log, "a1 b1")
    assert "a1 b1" == await takes(log, ANA)
    state = store._keys.group(APP, GROUP)[0]
    poisoned = {"place": "x", "number": "many", f"terms:{ANA.name}": "x"}
    await client.run(lambda redis: redis.hset(state, mapping=poisoned))

    await takes(log, ANA)
    await append(log, "c", b"c1")
    assert "c1" in words(await takes_all(log, ANA))
    await lag(store)


@pytest.mark.parametrize("number", range(6))
async def test_a_key_of_another_type_is_begun_anew_and_told(
    log: EventLog[Entry], store: RedisEventLog, client: RedisClient, notebook: Notebook, number: int
) -> None:
    await append(log, "a", b"a1")
    await takes(log, ANA)
    key = [*store._keys.log(APP), *store._keys.group(APP, GROUP)][number]

    async def push(redis: object) -> None:
        await redis.delete(key)  # type: ignore[attr-defined]
        await redis.lpush(key, "x")  # type: ignore[attr-defined]

    await client.run(push)
    await append(log, "b", b"b1")

    assert "b1" in words(await takes_all(log, ANA))
    assert {Damage.TYPE} == set(notebook.damage)
