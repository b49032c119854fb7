"""Writes of durable records: sent in batches, each followed by WAITAOF, which waits until it is on disk."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from broker.adapters.redis.client import RedisClient, milliseconds, unavailable
from broker.adapters.redis.mending import mend
from broker.adapters.redis.replies import cause_of, comes_from_wrong_server, is_of_wrong_type
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Durability, Observer

SYNC = timedelta(milliseconds=600)
"""How long a batch waits for its sync: WeCom waits one second for the answer to `create_auth`."""
AT_ONCE = 4
"""How many batches wait at once: other commands find a free connection."""
LARGEST = 200
"""How many writes are in a batch at most: Redis has to answer it in time."""


class Call(NamedTuple):
    """A script to run."""

    text: str
    keys: list[str]
    arguments: list[Any]

    @property
    def digest(self) -> str:
        """Return the name by which Redis knows the script."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Reply(NamedTuple):
    """What Redis replied to a script, and to the WAITAOF after it."""

    written: Any
    synced: Any


Replies = list[Reply]


class DurableWrites:
    """Run scripts in batches: the sync of many takes no longer than that of one."""

    def __init__(self, client: RedisClient, observer: Observer) -> None:
        self._client = client
        self._observer = observer
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting: tuple[list[Call], asyncio.Task[Replies]] | None = None
        self._sending: set[asyncio.Task[Replies]] = set()

    async def run(self, call: Call) -> bool:
        """Return whether the script wrote something. Raises `StoreUnavailable`."""
        calls, sending = self._batch()
        place = len(calls)
        calls.append(call)
        # A caller who gives up takes nobody else's reply away.
        reply = (await asyncio.shield(sending))[place]
        if isinstance(reply.written, StoreUnavailable):  # of the whole batch: each caller raises its own
            raise StoreUnavailable(reply.written.message, reply.written.retry_after)
        if isinstance(reply.written, Exception):
            raise unavailable(cause_of(reply.written))
        if reply.written:
            self._observer.durable_write_ended(*_outcome(reply.synced))
        return bool(reply.written)

    def _batch(self) -> tuple[list[Call], "asyncio.Task[Replies]"]:
        """Return the batch that waits for its turn, or a new one."""
        if self._waiting is None or len(self._waiting[0]) >= LARGEST:
            calls: list[Call] = []
            sending = asyncio.create_task(self._send(calls))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
            self._waiting = calls, sending
        return self._waiting

    async def _send(self, calls: list[Call]) -> Replies:
        async with self._turns:
            if self._waiting and self._waiting[0] is calls:
                self._waiting = None
            try:
                return await self._client.run(lambda redis: _replies(redis, calls, self._observer))
            except StoreUnavailable as error:
                return [Reply(error, None)] * len(calls)


async def _replies(redis: Redis, calls: list[Call], observer: Observer) -> Replies:
    replies = await _sent(redis, calls)
    unknown = [number for number, reply in enumerate(replies) if isinstance(reply.written, NoScriptError)]
    for text in {calls[number].text for number in unknown}:
        await redis.script_load(text)
    spoilt = [
        number
        for number, reply in enumerate(replies)
        if isinstance(reply.written, Exception) and is_of_wrong_type(reply.written)
    ]
    for number in spoilt:
        await mend(redis, calls[number].keys, observer)
    repeated = unknown + spoilt
    again = await _sent(redis, [calls[number] for number in repeated]) if repeated else []
    for number, reply in zip(repeated, again, strict=True):
        replies[number] = reply
    for reply in replies:
        if isinstance(reply.written, RedisError) and comes_from_wrong_server(reply.written):
            raise reply.written
    return replies


async def _sent(redis: Redis, calls: list[Call]) -> Replies:
    """Send the calls, and WAITAOF on the same connection: it waits for the writes of its own alone."""
    async with redis.pipeline(transaction=False) as pipeline:
        for call in calls:
            pipeline.evalsha(call.digest, len(call.keys), *call.keys, *call.arguments)
        pipeline.execute_command("WAITAOF", 1, 0, milliseconds(SYNC))
        *written, synced = await pipeline.execute(raise_on_error=False)
    return [Reply(one, synced) for one in written]


def _outcome(synced: list[int] | Exception) -> tuple[Durability, str]:
    """Return what the reply to WAITAOF means, and the problem."""
    if isinstance(synced, Exception):
        return Durability.UNPROVEN, cause_of(synced)
    local, _of_replicas = synced
    if local:
        return Durability.PROVEN, ""
    return Durability.LATE, f"it was not on disk within {milliseconds(SYNC)} ms"
