"""Groups of names in Redis: one sorted set a group, each name with the time at which it ends."""

from datetime import datetime
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from broker.adapters.redis.client import RedisClient, epoch_milliseconds
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.lua import store_script
from broker.adapters.redis.replies import is_of_wrong_type
from broker.adapters.system import SystemClock


class RedisGroups:
    """A group is a key in a slot of its own."""

    def __init__(self, client: RedisClient, keys: RedisKeys, clock: SystemClock) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._enlist = client.script(store_script("enlist"))

    async def enlist(self, group: str, name: str, keep_until: datetime) -> None:
        """See `Groups.enlist`."""
        await self._enlist([self._keys.names(group)], [name, epoch_milliseconds(keep_until)])

    async def members(self, group: str, start: int, count: int) -> list[str]:
        """See `Groups.members`."""
        key, now = self._keys.names(group), epoch_milliseconds(self._clock.now())

        async def read(redis: Redis) -> list[bytes]:
            try:
                found = await redis.zrangebyscore(key, f"({now}", "+inf", start=start, num=count)
            except ResponseError as error:
                if not is_of_wrong_type(error):
                    raise
                return []  # the next name that is enlisted removes what is in the way
            return cast("list[bytes]", found)

        return [name.decode(errors="replace") for name in await self._client.run(read, key)]

    async def strike(self, group: str, name: str) -> None:
        """See `Groups.strike`."""
        key = self._keys.names(group)
        await self._client.run(lambda redis: redis.zrem(key, name), key)
