"""Keys that hold something of another type: removed, so that what a broker writes has a place."""

from collections.abc import Sequence

from redis.asyncio import Redis

from broker.adapters.redis.call import Call, evaluate
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.lua import store_script
from broker.adapters.redis.servers.port import Servers
from broker.domain.ports.observer import Damage, Observer

MEND = store_script("mend")


class WrongType(Exception):
    """A key held something of another type; the message names it, never a value."""


async def mend(redis: Redis, servers: Servers, keys: Sequence[str], observer: Observer | None) -> None:
    """Remove what is of another type than a broker keeps under these keys of one slot."""
    known = [key for key in keys if RedisKeys.type_of(key)]
    if not known:
        return
    wrong = await evaluate(redis, servers, Call(MEND, known, list(map(RedisKeys.type_of, known))))
    if wrong and observer:
        observer.damage_found(Damage.TYPE, WrongType(b"; ".join(wrong).decode(errors="replace")))
