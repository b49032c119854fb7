"""Leases in Redis: a key that expires when its holder dies, and a number that never decreases."""

import secrets
from datetime import timedelta

from broker.adapters.redis.client import RedisClient, milliseconds
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.lua import fenced_script, store_script
from broker.domain.ports.store import Busy, Lease, NoticeKind


class RedisLeases:
    """One holder for each name, wherever its process runs."""

    def __init__(self, client: RedisClient, keys: RedisKeys) -> None:
        self._keys = keys
        self._acquire = client.script(fenced_script("acquire"))
        self._renew = client.script(store_script("renew"))
        self._release = client.script(store_script("release"))

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """See `Leases.acquire`."""
        owner = secrets.token_hex(16)
        keys = [self._keys.lease(name), self._keys.record(name)]
        granted, number = await self._acquire(keys, [owner, milliseconds(duration), floor])
        if granted:
            return Lease(name, owner, int(number), duration)
        return Busy(timedelta(milliseconds=number))

    async def renew(self, lease: Lease) -> bool:
        """See `Leases.renew`."""
        return bool(
            await self._renew([self._keys.lease(lease.name)], [lease.owner, milliseconds(lease.duration)])
        )

    async def release(self, lease: Lease) -> None:
        """See `Leases.release`."""
        notice = self._keys.notice(NoticeKind.RELEASED, lease.name, lease.fence)
        await self._release([self._keys.lease(lease.name)], [lease.owner, self._keys.channel, notice])
