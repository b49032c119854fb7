"""Durable writes to Redis: WAITAOF tells whether a write is on the server's disk."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from broker.adapters.redis.client import RedisClient, milliseconds
from broker.adapters.redis.replies import cause_of
from broker.domain.ports.observer import Durability, Observer
from broker.domain.ports.store import Record

SYNC = timedelta(milliseconds=600)
"""How long a write waits for its sync: WeCom waits one second for the answer to `create_auth`."""
AT_ONCE = 5
"""How many durable writes of a script wait at once: other commands find a free connection."""
REMEDY = "set appendonly to yes"


class RecordScript:
    """A script that writes a record; see `Record.durable` for what is promised of a durable one."""

    def __init__(self, client: RedisClient, text: str, observer: Observer) -> None:
        self._client = client
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._run = client.script(text)
        self._observer = observer
        self._waiting = asyncio.Semaphore(AT_ONCE)

    async def write(self, record: Record, keys: list[str], arguments: list[Any]) -> bool:
        """Return whether the script wrote the record. Raises `StoreUnavailable`."""
        if not record.durable:
            return bool(await self._run(keys, arguments))
        async with self._waiting:
            written, synced = await self._client.run(lambda redis: self._synced(redis, keys, arguments))
        if written:
            self._observer.durable_write_ended(*_outcome(synced))
        return bool(written)

    async def _synced(self, redis: Redis, keys: list[str], arguments: list[Any]) -> tuple[Any, Any]:
        """Return the replies to script and WAITAOF, which waits for the writes of its own connection."""
        written, synced = await self._sent(redis, keys, arguments)
        if isinstance(written, NoScriptError):
            await redis.script_load(self._text)
            written, synced = await self._sent(redis, keys, arguments)
        if isinstance(written, Exception):
            raise written
        return written, synced

    async def _sent(self, redis: Redis, keys: list[str], arguments: list[Any]) -> list[Any]:
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.evalsha(self._digest, len(keys), *keys, *arguments)
            pipeline.execute_command("WAITAOF", 1, 0, milliseconds(SYNC))
            return await pipeline.execute(raise_on_error=False)


def _outcome(synced: list[int] | Exception) -> tuple[Durability, str]:
    """Return what the reply to WAITAOF means, and the problem."""
    if isinstance(synced, Exception):
        return Durability.UNPROVEN, cause_of(synced)
    local, _of_replicas = synced
    if local:
        return Durability.PROVEN, ""
    return Durability.LATE, f"it was not on disk within {milliseconds(SYNC)} ms"


async def durability_problem(client: RedisClient) -> str:
    """Return what keeps the server from proving that writes are on disk; empty if it can."""
    return await client.run(_problem)


async def _problem(redis: Redis) -> str:
    try:
        persistence = await redis.info("persistence")
    except ResponseError as error:
        return f"its persistence cannot be read ({cause_of(error)})"
    if not persistence.get("aof_enabled"):
        return await _problem_without_a_log(redis)
    try:
        await redis.execute_command("WAITAOF", 1, 0, 1)  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return f"it cannot say when a write is on disk ({cause_of(error)})"
    return ""


async def _problem_without_a_log(redis: Redis) -> str:
    """Return what a server without an append-only file can lose."""
    try:
        saves = (await redis.config_get("save")).get("save", "")
    except ResponseError:  # most users may not ask, and most hosts forbid it
        return f"appendonly is off, so a crash loses what its snapshots (if there are any) lack: {REMEDY}"
    if not saves:
        return f"persistence is off (no appendonly, no save), so a restart loses everything: {REMEDY}"
    return f"appendonly is off, so a crash loses what was written since the last snapshot: {REMEDY}"
