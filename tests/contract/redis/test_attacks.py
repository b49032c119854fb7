"""Somebody writes to Redis: what they spoil gives way at the next write, and nothing else is harmed."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.ports.observer import Damage
from broker.domain.ports.store import Record
from tests.contract.events import ANA, APP, append, takes_all, words
from tests.contract.making import FAR, LONG, NAME, SHORT, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.redis.test_access import LEAST, PASSWORD, redis_with, url
from tests.contract.waiting import listening
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

pytestmark = pytest.mark.usefixtures("patient_client")
NUMBERS = ["abc", "", "1e300", "-5", "1.5", "nan", str(2**63 - 1), "9" * 400, "\N{SUPERSCRIPT TWO}"]

LOG_LEAST = (
    " +xrange +exists +hmget +hdel +hexists +hincrby +xadd +xtrim +zadd +zrem +zscore +zrangebylex"
    " +zrangebyscore +zlexcount"
)
"""What the event log needs besides the store."""
MENDING = "+type +rename +xdel +xrevrange +unlink"
"""What the broker's user needs besides, to remove what is in the way."""


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def client(redis_server: RedisServer, notebook: Notebook) -> AsyncIterator[RedisClient]:
    async with connect_redis(redis_server.url, notebook) as client:
        yield client


@pytest.fixture
def store(client: RedisClient, notebook: Notebook) -> RedisStore:
    return RedisStore(client, f"test-{secrets.token_hex(4)}", SystemClock(), notebook)


async def spoil(client: RedisClient, key: str) -> None:
    """Put a list where something else belongs."""

    async def push(redis: object) -> None:
        await redis.delete(key)  # type: ignore[attr-defined]
        await redis.lpush(key, "x")  # type: ignore[attr-defined]

    await client.run(push)


class TestAnotherType:
    async def test_a_record_is_missing_and_the_others_of_the_batch_are_there(
        self, store: RedisStore, client: RedisClient
    ) -> None:
        await store.offer(record(5, name="good"))
        await spoil(client, store._keys.record(NAME))

        assert ["good"] == list(await store.load([NAME, "good"]))

    @pytest.mark.parametrize("durable", [False, True])
    async def test_a_record_is_written_again_and_told(
        self, store: RedisStore, client: RedisClient, notebook: Notebook, durable: bool
    ) -> None:
        await spoil(client, store._keys.record(NAME))

        assert await store.offer(Record(NAME, 6, b"payload", FAR, durable=durable))
        assert (6, b"payload") == await held(store)
        assert [Damage.TYPE] == notebook.damage

    async def test_a_record_is_leased_and_committed(self, store: RedisStore, client: RedisClient) -> None:
        await spoil(client, store._keys.record(NAME))
        lease = await taken(store)
        assert await store.commit(record(lease.fence), lease)

    async def test_a_lease_that_was_spoilt_is_lost_and_taken_again(
        self, store: RedisStore, client: RedisClient
    ) -> None:
        lease = await taken(store)
        await spoil(client, store._keys.lease(NAME))

        assert not await store.commit(record(lease.fence), lease)
        assert not await store.renew(lease)
        again = await taken(store)
        assert await store.commit(record(again.fence), again)

    async def test_a_counter_begins_anew(self, store: RedisStore, client: RedisClient) -> None:
        await store.count("good", LONG)
        await spoil(client, store._keys.tally("calls"))

        assert {"calls": 0, "good": 1} == await store.counts(["calls", "good"])
        assert 1 == await store.count("calls", LONG)

    async def test_a_group_begins_anew(self, store: RedisStore, client: RedisClient) -> None:
        await spoil(client, store._keys.names("authorizations:crm"))

        assert [] == await store.members("authorizations:crm", 0, 10)
        await store.enlist("authorizations:crm", "ww1", FAR)
        assert ["ww1"] == await store.members("authorizations:crm", 0, 10)


async def test_the_brokers_user_may_remove_what_is_in_the_way(tmp_path: Path, notebook: Notebook) -> None:
    user = f"user broker on >{PASSWORD} {LEAST} {LOG_LEAST} {MENDING}"
    spoiler = f"user spoiler on >{PASSWORD} ~* &* +@all"
    with redis_with(tmp_path / "redis", user, spoiler) as server:
        async with (
            connect_redis(url(server), notebook) as client,
            connect_redis(url(server).replace("broker:", "spoiler:", 1)) as other,
        ):
            store = RedisStore(client, "wecom-broker", SystemClock(), notebook)
            log = RedisEventLog(client, "wecom-broker")
            key, future = log._keys.log(APP)[0], "9999999999999-0"
            await spoil(other, store._keys.record(NAME))
            await append(log, "a", b"a1")
            await other.run(lambda redis: redis.xadd(key, {"x": "y"}, id=future))

            assert await store.offer(record(6))
            await append(log, "b", b"b1")
            assert "a1 b1" == words(await takes_all(log, ANA))


class TestNumbers:
    @pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
    async def test_a_counter_that_is_no_number_begins_anew(
        self, store: RedisStore, client: RedisClient, number: str
    ) -> None:
        await client.run(lambda redis: redis.set(store._keys.tally("calls"), number, px=30_000))

        assert 0 <= (await store.counts(["calls"]))["calls"] < 2**63
        assert 1 == await store.count("calls", LONG)
        assert {"calls": 1} == await store.counts(["calls"])

    @pytest.mark.parametrize("milliseconds", [None, 3_600_000])
    async def test_a_counter_without_an_end_or_with_a_far_one_begins_anew(
        self, store: RedisStore, client: RedisClient, milliseconds: int | None
    ) -> None:
        await client.run(lambda redis: redis.set(store._keys.tally("calls"), 1_000_000, px=milliseconds))

        assert 1 == await store.count("calls", LONG)

    @pytest.mark.parametrize("number", ["1e14", "99999999999999", *NUMBERS, str(10**17), "1" + "0" * 30])
    async def test_no_poisoned_fence_keeps_a_commit_out(
        self, store: RedisStore, client: RedisClient, number: str
    ) -> None:
        await store.offer(record(5))
        poisoned = {"fence": number, "issued": number}
        await client.run(lambda redis: redis.hset(store._keys.record(NAME), mapping=poisoned))
        for _ in range(3):
            lease = await taken(store)
            assert lease.fence < 2**53
            assert await store.commit(record(lease.fence), lease)

        assert (lease.fence, b"payload") == await held(store)

    @pytest.mark.parametrize("number", ["9" * 16, "9" * 19, str(2**63)])
    async def test_a_counter_that_no_message_can_carry_begins_anew(
        self, store: RedisStore, client: RedisClient, number: str
    ) -> None:
        await client.run(lambda redis: redis.set(store._keys.tally("calls"), number, px=30_000))

        assert {"calls": 0} == await store.counts(["calls"])
        assert 1 == await store.count("calls", LONG)

    @pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "9223372036854775808", "-1"])
    @pytest.mark.parametrize(
        "name", ["ww9", "", b"\xff\xfe", "x" * 100_000], ids=lambda name: repr(name)[:10]
    )
    async def test_an_odd_time_in_a_group_keeps_no_name_out(
        self, store: RedisStore, client: RedisClient, score: str, name: str | bytes
    ) -> None:
        group = "authorizations:market"
        await store.enlist(group, "ww1", FAR)
        await client.run(lambda redis: redis.zadd(store._keys.names(group), {name: score}))

        await store.enlist(group, "ww2", FAR)
        await store.enlist(group, "ww1", FAR)
        found = await store.members(group, 0, 10)
        await store.strike(group, "ww1")
        assert {"ww1", "ww2"} <= set(found)
        assert 0 < await client.run(lambda redis: redis.pttl(store._keys.names(group)))

    async def test_a_lease_without_an_end_is_taken(self, store: RedisStore, client: RedisClient) -> None:
        await client.run(lambda redis: redis.set(store._keys.lease(NAME), "forged"))
        await taken(store, duration=SHORT)


async def test_a_record_that_is_far_too_large_is_missing_and_costs_the_others_nothing(
    store: RedisStore, client: RedisClient
) -> None:
    await store.offer(record(5, name="good"))
    await store.offer(record(5))
    key = store._keys.record(NAME)
    large = bytes(1 << 20)

    async def grow(redis: object) -> None:
        await redis.hset(key, "payload", large * 64)  # type: ignore[attr-defined]

    await client.run(grow)
    before = await client.run(lambda redis: redis.info("stats"))
    found = await store.load([NAME, "good"])
    after = await client.run(lambda redis: redis.info("stats"))

    assert {"good"} == {name for name, one in found.items() if one.payload == b"payload"}
    assert after["total_net_output_bytes"] - before["total_net_output_bytes"] < len(large)
    assert await store.offer(record(6))
    assert (6, b"payload") == await held(store)


async def test_forged_notices_do_not_end_the_hearing(store: RedisStore, client: RedisClient) -> None:
    async with listening(store) as ear:
        for forged in (f"appended {'9' * 400} shares:crm:own", f"committed {'9' * 5000} a", "connected 0 "):
            await client.run(lambda redis, text=forged: redis.publish(store._keys.channel, text))  # type: ignore[misc]
        await store.offer(record(1))

        assert NAME == (await ear.next()).name


@pytest.mark.parametrize("off", [timedelta(hours=4), -timedelta(hours=4), timedelta(seconds=59)])
async def test_a_clock_far_from_the_machines_is_told_and_not_believed(
    store: RedisStore,
    client: RedisClient,
    notebook: Notebook,
    off: timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = client.seconds

    async def moved(key: str) -> float:
        return await seconds(key) + off.total_seconds()

    monkeypatch.setattr(client, "seconds", moved)
    async with listening(store):
        machine = SystemClock().now()

    believed = abs(off) < timedelta(seconds=60)
    expected = machine + off if believed else machine
    assert abs(store._clock.now() - expected) < timedelta(seconds=5)
    assert [True] == [abs(told - off) < timedelta(seconds=5) for told in notebook.clock_off]
