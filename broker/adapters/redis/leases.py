"""Leases in Redis: a key that dies with its holder, and a number that never goes back."""

import secrets
from datetime import timedelta

from broker.adapters.redis.client import RedisLink, milliseconds
from broker.adapters.redis.names import RedisNames
from broker.domain.ports.store import Busy, Lease, NoticeKind

# The number is at least the time in milliseconds: a Redis that lost its data hands out larger ones
# than before. It is above the record's too, or nothing could be committed under it.
ACQUIRE = """
local left = redis.call('PTTL', KEYS[1])
if left > 0 then return {0, left} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local issued = tonumber(redis.call('HGET', KEYS[2], 'issued') or '0')
local written = tonumber(redis.call('HGET', KEYS[2], 'fence') or '0')
local fence = math.max(issued + 1, written + 1, now, tonumber(ARGV[3]) + 1)
redis.call('HSET', KEYS[2], 'issued', string.format('%.0f', fence))
if redis.call('PTTL', KEYS[2]) < 0 then redis.call('PEXPIRE', KEYS[2], 86400000) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, string.format('%.0f', fence)}
"""

RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""


class RedisLeases:
    """One holder for each name, wherever its process runs."""

    def __init__(self, link: RedisLink, names: RedisNames) -> None:
        self._names = names
        self._acquire = link.script(ACQUIRE)
        self._renew = link.script(RENEW)
        self._release = link.script(RELEASE)

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """See `Leases.acquire`."""
        owner = secrets.token_hex(16)
        keys = [self._names.lease(name), self._names.record(name)]
        granted, number = await self._acquire(keys, [owner, milliseconds(duration), floor])
        if granted:
            return Lease(name, owner, int(number), duration)
        return Busy(timedelta(milliseconds=number))

    async def renew(self, lease: Lease) -> bool:
        """See `Leases.renew`."""
        return bool(
            await self._renew([self._names.lease(lease.name)], [lease.owner, milliseconds(lease.duration)])
        )

    async def release(self, lease: Lease) -> None:
        """See `Leases.release`."""
        notice = self._names.notice(NoticeKind.RELEASED, lease.name, lease.fence)
        await self._release([self._names.lease(lease.name)], [lease.owner, self._names.channel, notice])
