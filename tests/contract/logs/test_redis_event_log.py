"""The event log in Redis: who may use it, one slot of a cluster, restarts, and how little a call does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from redis.asyncio import Redis

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.keys import RedisKeys
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.event_log import EventStore
from tests.contract.events import (
    ANA,
    APP,
    BEN,
    CLEO,
    GROUP,
    KEEP,
    append,
    appended,
    lag,
    positions,
    takes,
    takes_all,
    words,
)
from tests.contract.making import LONG
from tests.contract.redis.test_access import PASSWORD, redis_with
from tests.contract.waiting import eventually
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis

LEAST = (
    "~wecom-broker:* &wecom-broker:notices -@all"
    # What the event log asks for itself ...
    " +evalsha +script|load +xrange +zrange"
    # ... and what its scripts do.
    " +exists +time +set +publish +hget +hmget +hset +hdel +hexists +hincrby +unlink"
    " +xadd +xtrim +zadd +zrem +zscore +zrangebylex +zrangebyscore +zlexcount"
)
"""The least that the event log needs; `docs/operations.md` sums it up with that of the store."""


@pytest.fixture
async def client(own_redis: RedisServer, patient_client: None) -> AsyncIterator[RedisClient]:
    async with connect_redis(own_redis.url) as client:
        yield client


@pytest.fixture
def log(client: RedisClient) -> EventStore:
    return RedisEventLog(client, "test")


async def use_everything(log: EventStore) -> None:
    """Do all that a broker does."""
    given = await appended(log, "a1 a2 b1", notify=["events:crm"])
    assert "a1" == await takes(log, ANA, max_in_flight=1, max_attempts=1)
    assert "b1" == await takes(log, BEN)
    await log.release(APP, GROUP, "ana")
    assert "a2" == await takes(log, ANA)
    assert "a1" == words(await log.dead(APP, GROUP, "", 10))
    assert 1 == await log.retry(APP, GROUP, given[:1])
    assert 3 == await log.acknowledge(APP, GROUP, given)
    assert "a1 a2 b1" == words(await log.read(APP, "", 10))
    await log.rewind(APP, GROUP, given[2])
    assert 0 == await log.acknowledge(APP, GROUP, given[:1])
    assert 1 == await log.acknowledge(APP, GROUP, given[2:])
    assert 0 == (await lag(log)).open
    assert "" == await takes(log, ANA, alive_for=timedelta(milliseconds=1))

    async def forgets() -> bool:
        await log.forget_groups(APP, timedelta(milliseconds=1))
        return not await log.lags(APP)

    await eventually(forgets)


class TestAccess:
    async def test_the_least_permissions_are_enough(self, tmp_path: Path, patient_client: None) -> None:
        with redis_with(tmp_path / "redis", f"user broker on >{PASSWORD} {LEAST}") as server:
            url = f"redis://broker:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/0"
            async with connect_redis(url) as client:
                await use_everything(RedisEventLog(client, "wecom-broker"))

    @pytest.mark.slow
    async def test_none_of_the_least_permissions_is_too_much(
        self, tmp_path: Path, patient_client: None
    ) -> None:
        words_of_it = LEAST.split()
        users = {
            permission: " ".join(word for word in words_of_it if word != permission)
            for permission in words_of_it
            if permission.startswith("+")
        }
        users[""] = LEAST  # to prove that nothing else is missing
        lines = [f"user without{permission} on >{PASSWORD} {less}" for permission, less in users.items()]
        enough = []
        with redis_with(tmp_path / "redis", *lines, f"user all on >{PASSWORD} ~* &* +@all") as server:
            password = quote(PASSWORD, safe="")
            async with connect_redis(f"redis://all:{password}@127.0.0.1:{server.port}/0") as flushing:
                for number, permission in enumerate(users):
                    # What another user has loaded, this one must load too.
                    await flushing.run(lambda redis: redis.script_flush())
                    user = f"{quote('without' + permission)}:{password}"
                    async with connect_redis(f"redis://{user}@127.0.0.1:{server.port}/0") as client:
                        log = RedisEventLog(client, f"wecom-broker:{number}")
                        log._keys.channel = "wecom-broker:notices"
                        try:
                            await use_everything(log)
                        except StoreUnavailable:
                            continue
                        enough.append(permission)

        assert [""] == enough

    async def test_all_keys_of_an_app_are_in_one_slot_of_a_cluster(
        self, tmp_path: Path, patient_client: None
    ) -> None:
        async def take_all_slots(redis: Redis) -> None:
            await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        async def is_ready(redis: Redis) -> bool:
            return b"cluster_state:ok" in await redis.execute_command("CLUSTER", "INFO")

        with RedisServer(tmp_path / "redis", "--cluster-enabled", "yes") as server:
            async with connect_redis(server.url) as client:
                await client.run(take_all_slots)
                await eventually(lambda: client.run(is_ready))
                await use_everything(RedisEventLog(client, "wecom-broker"))

        keys = RedisKeys("wecom-broker")
        for name in [*keys.log("crm"), keys.seen("crm", "key"), *keys.group("crm", "a{b}")]:
            assert name.startswith("wecom-broker:{events:crm}:")


class TestOutages:
    async def test_a_dead_server_is_unavailable_and_nothing_else(
        self, own_redis: RedisServer, client: RedisClient, log: EventStore
    ) -> None:
        [position] = await appended(log, "a1")
        own_redis.kill()

        for command in (
            append(log),
            log.claim(ANA),
            log.acknowledge(APP, GROUP, [position]),
            log.release(APP, GROUP, "ana"),
            log.rewind(APP, GROUP, position),
            log.read(APP, "", 10),
            log.dead(APP, GROUP, "", 10),
            log.retry(APP, GROUP, [position]),
            log.lags(APP),
            log.forget_groups(APP, LONG),
        ):
            client._breakers.clear()
            with pytest.raises(StoreUnavailable):
                await command

    async def test_scripts_that_the_server_forgot_are_loaded_again(
        self, client: RedisClient, log: EventStore
    ) -> None:
        await appended(log, "a1")
        await log.claim(ANA)
        await client.run(lambda redis: redis.script_flush())

        [position] = await appended(log, "a2")
        assert "a2" == await takes(log, ANA)
        assert 1 == await log.acknowledge(APP, GROUP, [position])

    async def test_what_was_appended_and_held_is_there_after_a_crash(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path, "--appendfsync", "always", append_only=True) as server:
            async with connect_redis(server.url) as client:
                log = RedisEventLog(client, "test")
                given = await appended(log, "a1 a2 b1")
                await log.claim(replace(ANA, max_in_flight=1))
                server.kill()
                server.start()

                async def answers() -> bool:
                    try:
                        return len(await log.read(APP, "", 10)) == 3
                    except StoreUnavailable:
                        return False

                await eventually(answers)
                assert "b1" == await takes(log, BEN)
                assert 1 == await log.acknowledge(APP, GROUP, given[:1])
                assert "a2" == await takes(log, CLEO)

    async def test_a_full_memory_takes_no_event_and_remembers_no_key(self, own_redis: RedisServer) -> None:
        async def limit(redis: Redis) -> None:
            await redis.config_set("maxmemory", "1")

        async def lift(redis: Redis) -> None:
            await redis.config_set("maxmemory", "0")

        async with connect_redis(own_redis.url) as client:
            log = RedisEventLog(client, "test")
            await append(log)
            [entry] = await log.read(APP, "", 1)
            await client.run(limit)
            with pytest.raises(StoreUnavailable, match="OOM"):
                await log.append(entry, key="same", once_in=LONG, keep=KEEP, notify=[])
            await client.run(lift)

            assert await log.append(entry, key="same", once_in=LONG, keep=KEEP, notify=[])

    async def test_no_policy_but_for_all_keys_takes_events_away(
        self, client: RedisClient, log: EventStore
    ) -> None:
        async def mortal(redis: Redis) -> list[bytes]:
            return [key for key in await redis.keys("*") if await redis.pttl(key) >= 0]

        await appended(log, "a1")
        await log.claim(ANA)

        assert {b"seen"} == {key.split(b":")[3] for key in await client.run(mortal)}

    async def test_what_is_cancelled_leaves_no_answer_for_the_next(self, log: EventStore) -> None:
        given = await appended(log, "a1 b1 c1")
        for turn in range(30):
            task = asyncio.create_task(log.read(APP, given[0], 10))
            for _ in range(turn % 6):
                await asyncio.sleep(0)
            task.cancel()
            assert "a1" == words(await log.read(APP, "", 1))
            await asyncio.wait([task])


class TestCost:
    """What one call asks of Redis, counted in commands: it does not grow with the backlog."""

    @staticmethod
    async def commands(client: RedisClient) -> int:
        stats = await client.run(lambda redis: redis.info("commandstats"))
        return sum(one["calls"] for one in stats.values())

    async def test_a_stuck_corp_costs_others_nothing(self, client: RedisClient, log: EventStore) -> None:
        await appended(log, "a1")
        await log.claim(replace(ANA, max_in_flight=1))
        await appended(log, "a2 " * 3000)
        assert "" == await takes(log, BEN)
        await appended(log, "b1 a3 c1")

        before = await self.commands(client)
        assert "b1 c1" == await takes(log, BEN)
        assert await self.commands(client) - before < 100

    async def test_an_acknowledgement_before_a_long_backlog_is_cheap(
        self, client: RedisClient, log: EventStore
    ) -> None:
        given = await appended(log, "a1 " * 3000)
        await takes_all(log, replace(ANA, max_in_flight=3000))
        await log.release(APP, GROUP, "ana")
        await log.claim(replace(ANA, max_in_flight=1))

        before = await self.commands(client)
        assert 1 == await log.acknowledge(APP, GROUP, given[:1])
        assert await self.commands(client) - before < 60

    async def test_no_single_script_looks_at_a_whole_backlog(
        self, client: RedisClient, log: EventStore
    ) -> None:
        await appended(log, "a1")
        await log.claim(replace(ANA, max_in_flight=1))
        await appended(log, "a2 " * 3000 + "b1")

        async def reset(redis: Redis) -> None:
            await redis.config_resetstat()

        await client.run(reset)
        assert positions(await log.claim(BEN))
        stats = await client.run(lambda redis: redis.info("commandstats"))
        assert 6 <= stats["cmdstat_evalsha"]["calls"] <= 8
