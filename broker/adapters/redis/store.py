"""The store of a fleet: records, counters and notices in Redis (standalone, TLS, ACL user)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from broker.adapters.redis.client import RedisLink, milliseconds
from broker.adapters.redis.leases import RedisLeases
from broker.adapters.redis.names import RedisNames
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Lease, Notice, NoticeKind, Record

HEARTBEAT_SECONDS = 1.0
"""How often the subscription proves that it is alive: a lost one hears nothing."""
RECONNECT_SECONDS = 0.25

# Owner check, fence check, write, release and notice are one step (engine rule 3).
COMMIT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[2], 'fence') or '0') >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], 'fence', ARGV[2], 'payload', ARGV[3])
redis.call('PEXPIREAT', KEYS[2], ARGV[4])
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
"""

OFFER = """
if tonumber(redis.call('HGET', KEYS[1], 'fence') or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'payload', ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
"""

# What was forgotten since it was read stays forgotten.
REPLACE = """
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'payload') == '' then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2])
return 1
"""

FORGET = """
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and tonumber(fence) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'payload', '')
redis.call('PEXPIRE', KEYS[1], 86400000)
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""

COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
"""


class RedisStore(RedisLeases):
    """Share records over Redis. One a process; it lives as long as the link."""

    def __init__(self, link: RedisLink, prefix: str, clock: SystemClock, observer: Observer) -> None:
        names = RedisNames(prefix)
        super().__init__(link, names)
        self._link = link
        self._names = names
        self._clock = clock
        self._observer = observer
        self._commit = link.script(COMMIT)
        self._offer = link.script(OFFER)
        self._replace = link.script(REPLACE)
        self._forget = link.script(FORGET)
        self._count = link.script(COUNT)

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """See `Records.load`."""
        if not names:
            return {}

        async def read(client: Redis) -> list[list[bytes | None]]:
            async with client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hmget(self._names.record(name), ["fence", "payload"])
                return await pipeline.execute()

        rows = await self._link.run(read)
        return {
            name: Record(name, int(fence), payload or b"", datetime.max.replace(tzinfo=UTC))
            for name, (fence, payload) in zip(names, rows, strict=True)
            if fence is not None
        }

    async def commit(self, record: Record, lease: Lease) -> bool:
        """See `Records.commit`."""
        keys = [self._names.lease(record.name), self._names.record(record.name)]
        told = self._told(record.name, record.fence)
        arguments = [lease.owner, record.fence, record.payload, _expiry(record), *told]
        return bool(await self._commit(keys, arguments))

    async def offer(self, record: Record) -> bool:
        """See `Records.offer`."""
        arguments = [record.fence, record.payload, _expiry(record), *self._told(record.name, record.fence)]
        return bool(await self._offer([self._names.record(record.name)], arguments))

    async def replace(self, record: Record) -> bool:
        """See `Records.replace`."""
        return bool(await self._replace([self._names.record(record.name)], [record.fence, record.payload]))

    async def forget(self, name: str, fence: int) -> None:
        """See `Records.forget`."""
        notice = self._names.notice(NoticeKind.FORGOTTEN, name, fence)
        await self._forget([self._names.record(name)], [fence, self._names.channel, notice])

    async def count(self, name: str, window: timedelta) -> int:
        """See `Counters.count`."""
        return int(await self._count([self._names.tally(name)], [milliseconds(window)]))

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """See `Counters.counts`."""

        async def read(client: Redis) -> list[bytes | None]:
            async with client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.get(self._names.tally(name))
                return await pipeline.execute()

        values = await self._link.run(read) if names else []
        return {name: int(value or 0) for name, value in zip(names, values, strict=True)}

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._link.run(lambda client: client.ping())

    async def notices(self) -> AsyncIterator[Notice]:
        """See `Store.notices`. Takes over the time of Redis at each connection: it is the fleet's."""
        lost: StoreUnavailable | None = None
        while True:
            try:
                async with self._link.subscription(self._names.channel) as pubsub:
                    self._clock.set_fleet_time(await self._link.seconds())
                    if lost:
                        self._observer.store_back()
                    lost = None
                    yield Notice(NoticeKind.CONNECTED)
                    async for notice in self._listen(pubsub):
                        yield notice
            except StoreUnavailable as error:
                if lost is None:
                    self._observer.store_lost(error)
                lost = error
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, pubsub: PubSub) -> AsyncIterator[Notice]:
        """Yield notices until the connection is lost. Raises `StoreUnavailable`."""
        alive = True
        try:
            while True:
                message = await pubsub.get_message(timeout=HEARTBEAT_SECONDS)
                if message is None:
                    if not alive:
                        raise StoreUnavailable("Redis is not available: the subscription is silent")
                    alive = False
                    await pubsub.ping()
                    continue
                alive = True
                if message["type"] != "message":
                    continue
                if notice := self._names.read_notice(message["data"].decode(errors="replace")):
                    yield notice
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis is not available: {type(error).__name__}") from None

    def _told(self, name: str, fence: int) -> list[str]:
        return [self._names.channel, self._names.notice(NoticeKind.COMMITTED, name, fence)]


def _expiry(record: Record) -> int:
    return int(record.keep_until.timestamp() * 1000)
