"""A fencing number in Redis that is none: the record counts as missing, and is written over."""

import secrets
from collections.abc import AsyncIterator

import pytest

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.store import RedisStore
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.system import SystemClock
from broker.domain.ports.store import Lease
from tests.contract.making import LONG, NAME, held, record
from tests.contract.observer import Notebook
from tests.contract.sealed import SealedStore
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

DAMAGE = ["1e300", str(2**70), str(2**53), "-5", "1.5", "nan", "inf", "garbage", "", "\N{SUPERSCRIPT TWO}"]

pytestmark = [pytest.mark.usefixtures("patient_client"), pytest.mark.parametrize("fence", DAMAGE, ids=repr)]


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[RedisClient]:
    async with connect_redis(redis_server.url) as client:
        yield client


@pytest.fixture
async def store(client: RedisClient, fence: str) -> SealedStore:
    """A store with a good record, and one that somebody spoilt."""
    prefix = f"test-{secrets.token_hex(4)}"
    inner = RedisStore(client, prefix, SystemClock(), Notebook())
    store = SealedStore(inner, Seal([SealKey("k1", bytes(32))]), Notebook())
    await store.offer(record(5, name="good"))
    await store.offer(record(5))
    key = inner._keys.record(NAME)
    await client.run(lambda redis: redis.hset(key, mapping={"fence": fence, "issued": fence}))
    return store


async def test_it_is_missing_and_the_others_of_the_batch_are_there(store: SealedStore) -> None:
    assert ["good"] == list(await store.load([NAME, "good"]))


async def test_it_is_written_over_under_a_lease(store: SealedStore) -> None:
    lease = await store.acquire(NAME, LONG)
    assert isinstance(lease, Lease)

    assert 5 < lease.fence < 2**53
    assert await store.commit(record(lease.fence), lease)
    assert (lease.fence, b"payload") == await held(store)


async def test_it_is_written_over_by_an_offer(store: SealedStore) -> None:
    assert await store.offer(record(6))
    assert (6, b"payload") == await held(store)


async def test_it_can_be_forgotten(store: SealedStore) -> None:
    await store.forget(NAME, 6)

    assert (6, b"") == await held(store)
