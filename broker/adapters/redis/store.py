"""The store of a fleet: records, counters, groups and notices in Redis, whatever its topology."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError

from broker.adapters.redis.batched_writes import BatchedWrites
from broker.adapters.redis.call import Call, teach
from broker.adapters.redis.client import RedisClient, epoch_milliseconds, milliseconds
from broker.adapters.redis.durability import durability_problem
from broker.adapters.redis.groups import RedisGroups
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.leases import RedisLeases
from broker.adapters.redis.lua import fenced_script, name_of, store_script
from broker.adapters.redis.replies import is_of_wrong_type
from broker.adapters.redis.servers.port import Servers
from broker.adapters.redis.servers.replication import primary_at
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Ask
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Lease, Notice, NoticeKind, Record
from broker.domain.replica.clocks import Witness
from broker.domain.stores.status import StoreStatus

RESUBSCRIBE_SECONDS = 0.25
FENCE_DIGITS = 19
"""No fencing number has more."""
COUNT_DIGITS = 15
"""No counter has more: see `count.lua`."""
LARGEST_PAYLOAD = 16 * 1024 * 1024
"""In bytes; the list of 100,000 shares has half of it."""
LOAD = store_script("load")
COUNT = store_script("count")


class RedisStore(RedisLeases, RedisGroups):
    """Share records over Redis. One per process; it lives as long as the client."""

    def __init__(
        self,
        client: RedisClient,
        prefix: str,
        clock: SystemClock,
        observer: Observer,
        *,
        replicas_acknowledge: int = 0,
    ) -> None:
        keys = RedisKeys(prefix)
        RedisLeases.__init__(self, client, keys)
        RedisGroups.__init__(self, client, keys, clock)
        self._client = client
        self._keys = keys
        self._clock = clock
        self._observer = observer
        self._commit = fenced_script("commit")
        self._offer = fenced_script("offer")
        self._supplant = store_script("supplant")
        scripts = (self._commit, self._offer, self._supplant)
        self._scripts = {text: client.script(text) for text in scripts}
        self._durably = BatchedWrites(client, observer, replicas=replicas_acknowledge)
        self._replicas = replicas_acknowledge
        self._replace = client.script(store_script("replace"))
        self._forget = client.script(fenced_script("forget"))
        # Two counters for each call to WeCom, and many calls at once.
        self._count = BatchedWrites(client, None, on_disk=False).script(COUNT)

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """See `Records.load`."""

        async def read(redis: Redis, keys: Sequence[str]) -> list[list[bytes | None]]:
            replies = await _loaded(redis, self._client.servers, keys)
            return [_readable(reply) or [None, None] for reply in replies]

        keys = {name: self._keys.record(name) for name in names}
        with self._client.tracer.store_script(name_of(LOAD)):
            rows = await self._client.run_each(list(keys.values()), read)
        return {
            name: Record(name, _number(fence, FENCE_DIGITS), payload or b"", datetime.max.replace(tzinfo=UTC))
            for name, (fence, payload) in ((name, rows[key]) for name, key in keys.items())
            if fence is not None
        }

    async def commit(self, record: Record, lease: Lease) -> bool:
        """See `Records.commit`."""
        keys = [self._keys.lease(record.name), self._keys.record(record.name)]
        kept_until, notice = epoch_milliseconds(record.keep_until), self._notice(record.name, record.fence)
        arguments = [lease.owner, record.fence, record.payload, kept_until, *notice]
        return await self._write(record, Call(self._commit, keys, arguments))

    async def offer(self, record: Record) -> bool:
        """See `Records.offer`."""
        arguments = [
            record.fence,
            record.payload,
            epoch_milliseconds(record.keep_until),
            *self._notice(record.name, record.fence),
        ]
        return await self._write(record, Call(self._offer, [self._keys.record(record.name)], arguments))

    async def supplant(self, record: Record, damaged: bytes) -> bool:
        """See `Records.supplant`."""
        arguments = [
            damaged,
            record.fence,
            record.payload,
            epoch_milliseconds(record.keep_until),
            *self._notice(record.name, record.fence),
        ]
        return await self._write(record, Call(self._supplant, [self._keys.record(record.name)], arguments))

    async def replace(self, record: Record) -> bool:
        """See `Records.replace`."""
        return bool(await self._replace([self._keys.record(record.name)], [record.fence, record.payload]))

    async def forget(self, name: str, fence: int) -> None:
        """See `Records.forget`."""
        notice = self._keys.notice(NoticeKind.FORGOTTEN, name, fence)
        await self._forget([self._keys.record(name)], [fence, self._keys.channel, notice])

    async def count(self, name: str, window: timedelta) -> int:
        """See `Counters.count`."""
        return int(await self._count([self._keys.tally(name)], [milliseconds(window)]))

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """See `Counters.counts`."""

        async def read(redis: Redis, keys: Sequence[str]) -> list[bytes | None]:
            async with redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.get(key)
                return [_readable(reply) for reply in await _replies(pipeline)]

        keys = {name: self._keys.tally(name) for name in names}
        values = await self._client.run_each(list(keys.values()), read)
        return {name: _number(values[key] or b"", COUNT_DIGITS) for name, key in keys.items()}

    async def ping(self) -> None:
        """See `Store.ping`."""

        async def reach(redis: Redis) -> None:
            await asyncio.gather(
                *(server.execute_command("PING") for _, server in self._client.servers.primaries(redis))
            )

        await self._client.run(reach)

    async def status(self) -> StoreStatus:
        """See `Store.status`."""
        servers = self._client.servers

        async def ask(redis: Redis) -> StoreStatus:
            asked = [primary_at(address, server) for address, server in servers.primaries(redis)]
            return StoreStatus(servers.topology, tuple(await asyncio.gather(*asked)))

        try:
            return await self._client.run(ask)
        except StoreUnavailable:
            return StoreStatus(servers.topology)

    async def seconds(self) -> float:
        """Return the store's time, in seconds since 1970. Raises `StoreUnavailable`."""
        return await self._client.seconds(self._keys.probe)

    async def durability_problem(self) -> str:
        """See `Store.durability_problem`."""
        return await durability_problem(self._client, self._replicas)

    async def notices(self) -> AsyncIterator[Notice]:
        """See `Store.notices`. Sets the clock to Redis's time, which is the fleet's, at each connection."""
        lost: StoreUnavailable | None = None
        probe = self._keys.probe
        while True:
            try:
                async with self._client.subscription(self._keys.channel, probe) as subscription:
                    # Until a failover is over, the address leads to a server that accepts no writes.
                    await self._client.prove(probe)
                    await self._adopt_time(partial(self._client.seconds, probe))
                    if lost:
                        self._observer.store_back()
                    lost = None
                    yield Notice(NoticeKind.CONNECTED)
                    async for text in subscription.messages():
                        if notice := self._keys.read_notice(text):
                            yield notice
            except StoreUnavailable as error:
                if lost is None:
                    self._observer.store_lost(error)
                lost = error
            await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _adopt_time(self, ask: Ask) -> None:
        """Make the store's time the fleet's, unless other clocks contradict it."""
        seconds = await self._clock.ask(Witness.STORE, ask)
        self._observer.store_clock_compared(self._clock.ahead_of_machine(seconds))

    async def _write(self, record: Record, call: Call) -> bool:
        if record.durable:
            return bool(await self._durably.run(call))
        return bool(await self._scripts[call.text](call.keys, call.arguments))

    def _notice(self, name: str, fence: int) -> list[str]:
        return [self._keys.channel, self._keys.notice(NoticeKind.COMMITTED, name, fence)]


async def _loaded(redis: Redis, servers: Servers, keys: Sequence[str]) -> list[Any]:
    """Return the reply for each record, with the script brought to a Redis that does not have it."""
    calls = [Call(LOAD, [key], [str(LARGEST_PAYLOAD)]) for key in keys]

    async def attempt() -> list[Any]:
        async with redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command("EVALSHA", *call.words)
            return await _replies(pipeline)

    try:
        return await attempt()
    except NoScriptError:
        for server in {
            id(server): server for server in (servers.server(redis, key) for key in keys)
        }.values():
            await teach(server, LOAD)
        return await attempt()


async def _replies(pipeline: Pipeline) -> list[Any]:
    """Return the reply to each command: an error where what is there is of another type.

    One spoilt key must not hide the others. Raises what concerns all of them.
    """
    replies: list[Any] = await pipeline.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not is_of_wrong_type(reply):
            raise reply
    return replies


def _readable(reply: Any) -> Any:  # noqa: ANN401 - as each command answers
    """Return the reply; None for an error: the next write removes what is in the way."""
    return None if isinstance(reply, Exception) else reply


def _number(text: bytes, most_digits: int) -> int:
    """Return the number; 0 (none) if it is anything else."""
    return int(text) if text.isdigit() and len(text) <= most_digits else 0
