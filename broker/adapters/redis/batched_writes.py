"""Writes in batches: what arrives while one is under way goes with the next.

Writes that must not be lost are followed by waits for the disk and for replicas, which take no longer for
many than for one. An error of one write is its caller's alone.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterPipeline
from redis.exceptions import AskError, NoScriptError, RedisError, TryAgainError

from broker.adapters.redis.call import Call, evaluate, teach
from broker.adapters.redis.client import RedisClient, milliseconds
from broker.adapters.redis.lua import name_of
from broker.adapters.redis.mending import mend
from broker.adapters.redis.replies import cause_of, comes_from_wrong_server, is_of_wrong_type
from broker.adapters.redis.servers.breaker import unavailable
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Durability, Observer

SYNC = timedelta(milliseconds=600)
"""How long a batch waits for its sync: WeCom waits one second for the answer to `create_auth`."""
COPY = timedelta(milliseconds=250)
"""How long it waits for replicas before that."""
AT_ONCE = 4
"""How many batches wait at once at one server: other commands find a free connection."""
LARGEST = 200
"""How many writes are in a batch at most: Redis has to answer it in time."""


class Reply(NamedTuple):
    """What Redis replied to a script, and to what waits for it."""

    written: Any
    copied: Any
    """To WAIT; None where no replica is waited for."""
    synced: Any
    """To WAITAOF; None where the disk is not waited for."""


Replies = list[Reply]
MOVED = (AskError, TryAgainError)
"""Replies of a member of a cluster whose slot is on its way to another, or has gone (MOVED is an ASK too)."""


class BatchedWrites:
    """Run scripts in batches, each at one server: one that hangs holds up no other."""

    def __init__(
        self,
        client: RedisClient,
        observer: Observer | None,
        *,
        replicas: int = 0,
        on_disk: bool = True,
        at_once: int = AT_ONCE,
    ) -> None:
        self._client = client
        self._observer = observer
        self._replicas = replicas
        """How many replicas are to have a write."""
        self._on_disk = on_disk
        """Whether the primary's disk is to have it."""
        self._turns: defaultdict[str | None, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(at_once)
        )
        self._waiting: dict[str | None, tuple[list[Call], asyncio.Task[Replies]]] = {}
        """By server, the batch that waits for its turn."""
        self._order = asyncio.Lock()
        """While it is not known which server has a key, those who come later stay behind."""
        self._sending: set[asyncio.Task[Replies]] = set()

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        """Return the script as a function of keys and arguments."""
        return lambda keys, arguments: self.run(Call(text, keys, arguments))

    async def run(self, call: Call) -> Any:  # noqa: ANN401 - as each script answers
        """Return what the script returns: nothing, zero or an empty text if it wrote nothing.

        A write that replicas or disk do not have in time counts, and the observer is told.
        Raises `StoreUnavailable`.
        """
        call = call.encoded()
        async with self._order:
            [shard] = await self._client.by_server(call.keys[:1])
            calls, sending = self._batch(shard)
            place = len(calls)
            calls.append(call)
        with self._client.tracer.store_script(name_of(call.text)):
            # A caller who gives up takes nobody else's reply away.
            reply = (await asyncio.shield(sending))[place]
        if isinstance(reply.written, StoreUnavailable):  # of the whole batch: each caller raises its own
            raise StoreUnavailable(reply.written.message, reply.written.retry_after)
        if isinstance(reply.written, Exception):
            raise unavailable(cause_of(reply.written))
        if reply.written and self._observer:
            self._tell(self._observer, reply)
        return reply.written

    def _tell(self, observer: Observer, reply: Reply) -> None:
        if self._on_disk:
            observer.durable_write_ended(*_on_disk(reply.synced))
        if self._replicas:
            observer.replication_ended(*_on_replicas(reply.copied, self._replicas))

    def _batch(self, shard: str | None) -> tuple[list[Call], "asyncio.Task[Replies]"]:
        """Return the server's batch that waits for its turn, or a new one."""
        waiting = self._waiting.get(shard)
        if waiting is None or len(waiting[0]) >= LARGEST:
            calls: list[Call] = []
            sending = asyncio.create_task(self._send(shard, calls))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
            waiting = self._waiting[shard] = calls, sending
        return waiting

    async def _send(self, shard: str | None, calls: list[Call]) -> Replies:
        async with self._turns[shard]:
            waiting = self._waiting.get(shard)
            if waiting and waiting[0] is calls:
                del self._waiting[shard]
            replies: dict[int, Reply] = {}

            async def send(places: Sequence[int]) -> None:
                received = await self._of_one_server([calls[place] for place in places])
                replies.update(zip(places, received, strict=True))

            try:
                # Slots may have moved since.
                parts = await self._client.by_server([call.keys[0] for call in calls])
            except StoreUnavailable as error:
                return [Reply(error, None, None)] * len(calls)
            await asyncio.gather(*map(send, parts.values()))
            return [replies[place] for place in range(len(calls))]

    async def _of_one_server(self, calls: list[Call]) -> Replies:
        """Return the replies; one error for all of them if the server is unavailable."""
        try:
            return await self._client.run(lambda redis: self._replies(redis, calls), calls[0].keys[0])
        except StoreUnavailable as error:
            return [Reply(error, None, None)] * len(calls)

    async def _replies(self, redis: Redis, calls: list[Call]) -> Replies:
        servers = self._client.servers
        replies = await self._sent(redis, calls)
        unknown = _failed(replies, lambda error: isinstance(error, NoScriptError))
        homes = {
            (servers.shard(redis, calls[number].keys[0]), calls[number].text): number for number in unknown
        }
        for (_, text), number in homes.items():
            await teach(servers.server(redis, calls[number].keys[0]), text)
        spoilt = _failed(replies, is_of_wrong_type)
        for number in spoilt:
            await mend(redis, servers, calls[number].keys, self._client.observer)
        repeated = unknown + spoilt
        again = await self._sent(redis, [calls[number] for number in repeated]) if repeated else []
        for number, reply in zip(repeated, again, strict=True):
            replies[number] = reply
        for number in _failed(replies, lambda error: isinstance(error, MOVED)):
            # It is written where the slot is now; the waits were at another server.
            moved = replies[number].written
            replies[number] = Reply(await evaluate(redis, servers, calls[number]), moved, moved)
        for reply in replies:
            if isinstance(reply.written, RedisError) and comes_from_wrong_server(reply.written):
                raise reply.written
        return replies

    async def _sent(self, redis: Redis, calls: list[Call]) -> Replies:
        """Send the calls, and what waits on the same connection: it waits for the writes of its own alone.

        All are at one server, unless slots have moved a moment ago: then each has what waits for them.
        """
        servers = self._client.servers
        homes = [servers.shard(redis, call.keys[0]) for call in calls]
        targets = {home: servers.target(redis, call.keys[0]) for home, call in zip(homes, calls, strict=True)}
        async with redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command("EVALSHA", *call.words)
            for target in targets.values():
                if self._replicas:
                    pipeline.execute_command("WAIT", self._replicas, milliseconds(COPY), **target)
                if self._on_disk:
                    pipeline.execute_command("WAITAOF", 1, 0, milliseconds(SYNC), **target)
            # A redirected call would be on another connection than what waits for it.
            stays: dict[str, Any] = {}
            if isinstance(pipeline, ClusterPipeline):
                stays["allow_redirections"] = False
            replies = await pipeline.execute(raise_on_error=False, **stays)
        written, waited = replies[: len(calls)], iter(replies[len(calls) :])
        proofs = {
            home: (next(waited) if self._replicas else None, next(waited) if self._on_disk else None)
            for home in targets
        }
        return [Reply(one, *proofs[home]) for one, home in zip(written, homes, strict=True)]


def _failed(replies: Replies, so: Callable[[Exception], bool]) -> list[int]:
    """Return the places of replies that are such an error."""
    written = [reply.written for reply in replies]
    return [place for place, one in enumerate(written) if isinstance(one, Exception) and so(one)]


def _on_replicas(copied: int | Exception, wanted: int) -> tuple[Durability, str]:
    """Return what the reply to WAIT means, and the problem."""
    if isinstance(copied, Exception):
        return Durability.UNPROVEN, cause_of(copied)
    if copied >= wanted:
        return Durability.PROVEN, ""
    return Durability.LATE, f"{copied} of {wanted} replicas had it within {milliseconds(COPY)} ms"


def _on_disk(synced: list[int] | Exception) -> tuple[Durability, str]:
    """Return what the reply to WAITAOF means, and the problem."""
    if isinstance(synced, Exception):
        return Durability.UNPROVEN, cause_of(synced)
    local, _of_replicas = synced
    if local:
        return Durability.PROVEN, ""
    return Durability.LATE, f"it was not on disk within {milliseconds(SYNC)} ms"
