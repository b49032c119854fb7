"""A Redis that dies or hangs: nobody waits for it for long, and everybody hears when it is back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.servers.breaker import LEFT_ALONE_SECONDS
from broker.adapters.redis.servers.port import CONNECTIONS
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Notice, NoticeKind
from tests.contract.making import FAR, LONG, NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.waiting import Stopwatch, eventually, listening
from tests.kit.machine import busy
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis
from tests.kit.time_bounds import check_took

AT_ONCE_SECONDS = 0.4
ONE_TIMEOUT_SECONDS = 1.5
"""A second, and what a busy machine adds."""


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[RedisClient]:
    async with connect_redis(own_redis.url) as client:
        yield client


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def store(client: RedisClient, notebook: Notebook) -> RedisStore:
    store = RedisStore(client, "test", SystemClock(), notebook)
    await store.ping()
    return store


async def answers(store: RedisStore) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


async def refused_within(store: RedisStore) -> float:
    """Return how long the store took to refuse, apart from what the machine was busy with."""
    async with busy() as machine:
        took = await refused_after(store)
    return took - machine.seconds


async def refused_after(store: RedisStore) -> float:
    watch = Stopwatch()
    with pytest.raises(StoreUnavailable) as refusal:
        await store.load([NAME])
    assert refusal.value.retry_after is not None
    return watch.seconds


async def test_a_dead_server_is_noticed_at_once_and_then_left_alone(
    own_redis: RedisServer, store: RedisStore
) -> None:
    own_redis.kill()

    check_took(await refused_within(store), AT_ONCE_SECONDS)
    check_took(max([await refused_within(store) for _ in range(20)]), AT_ONCE_SECONDS / 4)


async def test_every_command_says_that_the_store_is_away_and_nothing_else(
    own_redis: RedisServer, store: RedisStore, client: RedisClient
) -> None:
    lease = await taken(store)
    own_redis.kill()

    for command in (
        store.load([NAME]),
        store.commit(record(lease.fence), lease),
        store.offer(record(1)),
        store.replace(record(1)),
        store.forget(NAME, 1),
        store.acquire(NAME, LONG),
        store.renew(lease),
        store.release(lease),
        store.count("calls", LONG),
        store.counts(["calls"]),
        store.ping(),
        client.seconds(),
    ):
        client._breakers.clear()
        with pytest.raises(StoreUnavailable):
            await command


async def test_a_server_that_never_was_there_is_unavailable() -> None:
    async with connect_redis("redis://127.0.0.1:1/0") as client:
        with pytest.raises(StoreUnavailable):
            await client.seconds()


async def test_a_restarted_server_works_again_and_connected_is_told_again(
    own_redis: RedisServer, store: RedisStore, notebook: Notebook
) -> None:
    async with listening(store) as ear:
        own_redis.kill()
        check_took(await refused_within(store), AT_ONCE_SECONDS)
        own_redis.start()

        assert Notice(NoticeKind.CONNECTED) == await ear.next(within=2)
        await store.offer(record(1))
        assert Notice(NoticeKind.COMMITTED, NAME, 1) == await ear.next()
        assert ["lost", "back"] == notebook.told


async def test_a_restarted_server_works_again_for_those_who_do_not_listen(
    own_redis: RedisServer, store: RedisStore
) -> None:
    own_redis.kill()
    await refused_within(store)
    own_redis.start()
    await eventually(lambda: answers(store), within=2)

    await taken(store)


@pytest.mark.slow
async def test_a_long_outage_is_told_once(
    own_redis: RedisServer, store: RedisStore, notebook: Notebook
) -> None:
    async with listening(store) as ear:
        own_redis.kill()
        await asyncio.sleep(0.8)  # time for three attempts
        own_redis.start()
        assert Notice(NoticeKind.CONNECTED) == await ear.next(within=2)

    assert ["lost", "back"] == notebook.told


async def test_each_broker_that_listens_hears_that_it_is_back(
    own_redis: RedisServer, store: RedisStore
) -> None:
    async with connect_redis(own_redis.url) as client:
        other = RedisStore(client, "test", SystemClock(), Notebook())
        async with listening(store) as one, listening(other) as two:
            own_redis.kill()
            own_redis.start()

            assert [Notice(NoticeKind.CONNECTED)] * 2 == [await one.next(2), await two.next(2)]


async def test_a_lease_from_before_the_restart_commits_nothing(
    own_redis: RedisServer, store: RedisStore
) -> None:
    lost = await taken(store)
    own_redis.kill()
    own_redis.start()
    await eventually(lambda: answers(store), within=2)

    assert not await store.commit(record(lost.fence), lost)
    assert (await taken(store)).fence > lost.fence


async def test_what_was_written_to_disk_is_there_after_a_crash(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--appendfsync", "always", append_only=True) as server:
        async with connect_redis(server.url) as client:
            store = RedisStore(client, "test", SystemClock(), Notebook())
            lease = await taken(store)
            await store.commit(record(lease.fence), lease)
            server.kill()
            server.start()
            await eventually(lambda: answers(store), within=2)

            assert (lease.fence, b"payload") == await held(store)


@pytest.mark.slow
@pytest.mark.slow
async def test_a_server_that_answers_is_not_away_however_many_wait_for_a_connection(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than a busy machine keeps a process from running, shorter than the last of them waits.
    patience = 3.0
    monkeypatch.setattr("broker.adapters.redis.servers.port.ANSWER_SECONDS", patience)
    async with connect_redis(own_redis.url) as client:
        script = client.script("for _ = 1, 1000000 do end return 1")
        await asyncio.gather(*[client.seconds() for _ in range(CONNECTIONS)])
        await script([], [])
        watch = Stopwatch()
        count = 0
        while watch.seconds < patience:
            count += 250
            watch = Stopwatch()
            assert [1] * count == await asyncio.gather(*[script([], []) for _ in range(count)])


async def test_a_hung_server_costs_a_second_once_and_connected_is_told_when_it_goes_on(
    own_redis: RedisServer, store: RedisStore, notebook: Notebook
) -> None:
    async with listening(store) as ear:
        own_redis.pause()
        try:
            watch = Stopwatch()
            async with busy() as machine:
                took = await asyncio.gather(*[refused_after(store) for _ in range(200)])
                again = await refused_after(store)
            check_took(max(took) - machine.seconds, ONE_TIMEOUT_SECONDS)
            check_took(again - machine.seconds, AT_ONCE_SECONDS)

            async def was_lost() -> bool:
                return "lost" in notebook.told

            await eventually(was_lost, within=4 - watch.seconds)
        finally:
            own_redis.resume()

        assert Notice(NoticeKind.CONNECTED) == await ear.next()
        await eventually(lambda: answers(store), within=1)
        assert ["lost", "back"] == notebook.told


@pytest.mark.slow
async def test_while_a_hung_server_is_tried_again_only_one_caller_waits(
    own_redis: RedisServer, store: RedisStore
) -> None:
    own_redis.pause()
    try:
        await refused_within(store)
        await asyncio.sleep(LEFT_ALONE_SECONDS)
        async with busy() as machine:
            took = sorted(await asyncio.gather(*[refused_after(store) for _ in range(20)]))
    finally:
        own_redis.resume()

    check_took(took[-2] - machine.seconds, AT_ONCE_SECONDS)
    check_took(took[-1] - machine.seconds, ONE_TIMEOUT_SECONDS)


@pytest.mark.slow
async def test_a_caller_who_gives_up_trying_leaves_the_way_open(
    own_redis: RedisServer, store: RedisStore
) -> None:
    own_redis.pause()
    try:
        await refused_within(store)
        await asyncio.sleep(LEFT_ALONE_SECONDS)
        trying = asyncio.create_task(store.ping())
        await asyncio.sleep(0.02)
        trying.cancel()
        await asyncio.wait([trying])
    finally:
        own_redis.resume()

    await eventually(lambda: answers(store), within=AT_ONCE_SECONDS)


async def test_a_broker_leaves_a_hung_server_without_waiting(
    own_redis: RedisServer, notebook: Notebook
) -> None:
    async with connect_redis(own_redis.url) as client:
        store = RedisStore(client, "test", SystemClock(), notebook)
        async with listening(store):
            await store.ping()
            own_redis.pause()
            watch = Stopwatch()
    own_redis.resume()

    check_took(watch.seconds, ONE_TIMEOUT_SECONDS)


@pytest.mark.slow
async def test_silence_is_no_outage(store: RedisStore, notebook: Notebook) -> None:
    async with listening(store) as ear:
        await asyncio.sleep(2.5 * 1.0)
        await store.offer(record(1))

        assert Notice(NoticeKind.COMMITTED, NAME, 1) == await ear.next()
        assert [] == notebook.told


@pytest.mark.usefixtures("patient_client")
async def test_five_hundred_commands_at_once_do_not_fail(store: RedisStore) -> None:
    numbers = await asyncio.gather(*[store.count("calls", LONG) for _ in range(500)])

    assert set(range(1, 501)) == set(numbers)


async def test_what_others_shout_into_the_channel_ends_nothing(
    store: RedisStore, client: RedisClient
) -> None:
    async def shout(redis: Redis) -> None:
        for noise in (b"\xff\xfe", b"", b"hello", b"committed x y"):
            await redis.publish("test:notices", noise)

    async with listening(store) as ear:
        await client.run(shout)
        await store.offer(record(1))

        assert Notice(NoticeKind.COMMITTED, NAME, 1) == await ear.next()


async def test_a_script_that_the_server_forgot_is_loaded_again(
    store: RedisStore, client: RedisClient
) -> None:
    await store.offer(record(1))
    await client.run(lambda redis: redis.script_flush())

    assert await store.offer(record(2))


async def test_a_connected_broker_has_the_time_of_redis(own_redis: RedisServer, client: RedisClient) -> None:
    clock = SystemClock()
    clock.set_fleet_time(1_000_000_000.0)
    async with listening(RedisStore(client, "test", clock, Notebook())):
        assert abs(clock.now() - SystemClock().now()) < timedelta(seconds=1)


async def test_redis_forgets_a_record_when_it_may_and_nothing_else_is_left(
    store: RedisStore, client: RedisClient
) -> None:
    async def lives(redis: Redis) -> dict[bytes | str, int]:
        return {key: await redis.pttl(key) for key in await redis.keys("*")}

    lease = await taken(store)
    await store.commit(record(lease.fence), lease)
    await store.forget("tombstone", 1)
    await taken(store, "leased")
    await store.count("calls", LONG)
    ends = await client.run(lambda redis: redis.pexpiretime("test:{" + NAME + "}:record"))

    assert int(FAR.timestamp() * 1000) == ends
    assert not [key for key, left in (await client.run(lives)).items() if left < 0]
