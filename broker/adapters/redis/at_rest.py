"""All sealed payloads in Redis: found by SCAN, which no serving broker uses, and exchanged one by one.

Of a cluster each primary is scanned. What moves between two meanwhile may be missed: run it again.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.lua import log_script, store_script
from broker.adapters.redis.replies import is_of_wrong_type
from broker.adapters.redis.servers.port import Server
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.at_rest import Change

AT_ONCE = 200
"""How many keys or entries one command looks at: Redis serves nobody else meanwhile."""
COPY_KEPT_SECONDS = 600
"""How long a copy that was left behind takes up room."""


Page = list[tuple[bytes, dict[bytes, bytes]]]
"""Entries of a stream, each with its id."""


class RedisAtRest:
    """Records are exchanged in place. Entries of a stream cannot be, so a copy takes its place."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self._client = client
        self._keys = RedisKeys(prefix)
        self._exchange = client.script(store_script("exchange"))
        self._swap = client.script(log_script("swap"))

    async def records(self) -> AsyncIterator[tuple[str, bytes]]:
        """See `AtRest.records`."""
        async for name in self._names("record"):
            key = self._keys.record(name)
            payload = await self._client.run(partial(_payload_in, key), key)
            if payload:
                yield name, payload

    async def exchange(self, name: str, before: bytes, after: bytes) -> bool:
        """See `AtRest.exchange`."""
        return bool(await self._exchange([self._keys.record(name)], [before, after]))

    async def apps_with_events(self) -> list[str]:
        """See `AtRest.apps_with_events`."""
        slots = {name async for name in self._names("log")}
        return sorted(name.removeprefix("events:") for name in slots if name.startswith("events:"))

    async def exchange_events(self, app: str, change: Change) -> bool:
        """See `AtRest.exchange_events`."""
        log, *_ = self._keys.log(app)
        copy = f"{log}:{secrets.token_hex(8)}"
        after, copied = "-", 0
        try:
            while True:
                page = await self._client.run(partial(_page_of, log, after), log)
                if page:
                    after = f"({page[-1][0].decode()}"
                    copied += len(page)
                    await self._add(copy, app, page, change)
                if not copied:
                    return True  # an empty log
                if len(page) < AT_ONCE and (swapped := await self._swap([log, copy], [])):
                    return bool(swapped == 1)
        finally:
            with suppress(StoreUnavailable):  # it ends by itself
                await self._client.run(lambda redis: redis.unlink(copy), copy)

    async def _add(self, copy: str, app: str, page: Page, change: Change) -> None:
        async def add(redis: Redis) -> None:
            async with redis.pipeline(transaction=False) as pipeline:
                for position, fields in page:
                    payload = fields.get(b"payload")
                    changed = {**fields, b"payload": change(app, payload)} if payload else fields
                    pipeline.xadd(copy, changed, id=position)  # type: ignore[arg-type]
                pipeline.pexpire(copy, COPY_KEPT_SECONDS * 1000)
                await pipeline.execute()

        await self._client.run(add, copy)

    async def _names(self, part: str) -> AsyncIterator[str]:
        """Yield what stands in the braces of each key that ends in that word."""
        before, after = self._keys.record("\0").removesuffix("record").split("\0")
        for _, server in await self._client.primaries():
            cursor = 0
            while True:
                cursor, keys = await self._client.run(
                    partial(_scanned, server, f"{before}*{after}{part}", cursor)
                )
                for key in keys:
                    yield key.decode(errors="replace").removeprefix(before).removesuffix(f"{after}{part}")
                if not cursor:
                    break


async def _payload_in(key: str, redis: Redis) -> bytes | None:
    try:
        return cast("bytes | None", await redis.hget(key, "payload"))
    except ResponseError as error:
        if not is_of_wrong_type(error):
            raise
        return None


async def _page_of(log: str, after: str, redis: Redis) -> Page:
    return cast("Page", await redis.xrange(log, after, "+", AT_ONCE))


async def _scanned(server: Server, pattern: str, cursor: int, redis: Redis) -> tuple[int, list[bytes]]:
    del redis
    found = await server.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", AT_ONCE)
    return cast("tuple[int, list[bytes]]", found)
