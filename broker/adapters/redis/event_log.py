"""The event log of a fleet: a Redis stream for each app, and the progress of each group."""

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from broker.adapters.redis.batched_writes import BatchedWrites
from broker.adapters.redis.client import RedisClient, milliseconds
from broker.adapters.redis.keys import RedisKeys
from broker.adapters.redis.lua import group_script, log_script
from broker.adapters.redis.replies import is_of_wrong_type
from broker.domain.events.log import Deletion, Delivery, Entry, Lag, Member, Retention, topic
from broker.domain.events.positions import FIRST, LAST, tidy
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import NoticeKind

GroupScript = Callable[..., Awaitable[Any]]
"""A script as a function of an app, a group and arguments."""
APPEND = log_script("append")
AT_ONCE = 500
"""How many positions one script looks at."""
GROUP_NAME = re.compile(rb"[\x21-\x7e]{1,256}")
"""Callers' names and their groups' are shorter."""


class RedisEventLog:
    """Share events over Redis. One per process; it lives as long as the client.

    The log and its groups have no TTL in Redis: only the `allkeys-*` eviction policies can remove events.
    """

    def __init__(
        self,
        client: RedisClient,
        prefix: str,
        observer: Observer | None = None,
        *,
        replicas_acknowledge: int = 0,
    ) -> None:
        self._client = client
        self._keys = RedisKeys(prefix)
        # One batch after the other: events of an app are written in the order in which they came.
        batches = BatchedWrites(client, observer, replicas=replicas_acknowledge, on_disk=False, at_once=1)
        self._append = batches.script(APPEND)
        self._trim = client.script(log_script("trim"))
        self._open = self._of_a_group("open")
        self._claim = self._of_a_group("claim")
        self._acknowledge = self._of_a_group("acknowledge")
        self._give_up = self._of_a_group("give_up")
        self._release = self._of_a_group("release")
        self._rewind = self._of_a_group("rewind")
        self._dead = self._of_a_group("dead")
        self._retry = self._of_a_group("retry")
        self._lag = self._of_a_group("lag")
        self._delete = self._of_a_group("delete")
        self._forget = self._of_a_group("forget")

    async def append(
        self, event: Entry, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        """See `EventLog.append`."""
        log, head, _ = self._keys.log(event.app)
        notices = [self._keys.channel, NoticeKind.APPENDED, *notify]
        kept = [milliseconds(once_in), milliseconds(keep.age), keep.count]
        position = await self._append(
            [log, head, self._keys.seen(event.app, key)],
            [*kept, event.corp_id, event.event_type, event.payload, *notices],
        )
        return str(position.decode())

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        """See `EventGroups.open_group`."""
        return bool(await self._open(app, group, most))

    async def claim(self, member: Member) -> list[Delivery[Entry]]:
        """See `EventLog.claim`. Runs bounded scripts until one finds events or no work is left."""
        spans = [milliseconds(span) for span in (member.alive_for, member.ack_timeout)]
        asked = [member.name, member.max_in_flight, *spans, member.max_attempts, *sorted(member.event_types)]
        more = True
        claimed: list[list[bytes]] = []
        while more and not claimed:
            more, *claimed = await self._claim(member.app, member.group, *asked)
        return [
            Delivery(_entry(member.app, *fields), int(attempts), int(losses) + 1)
            for *fields, attempts, losses in claimed
        ]

    async def acknowledge(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventGroups.acknowledge`."""
        return await self._in_parts(self._acknowledge, app, group, positions)

    async def give_up(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventGroups.give_up`."""
        return await self._in_parts(self._give_up, app, group, positions)

    async def release(
        self,
        app: str,
        group: str,
        member: str,
        *,
        counts_as_attempt: bool = True,
        unseen: Collection[str] = (),
    ) -> None:
        """See `EventGroups.release`."""
        await self._release(app, group, member, "yes" if counts_as_attempt else "no", *map(tidy, unseen))

    async def rewind(self, app: str, group: str, position: str) -> None:
        """See `EventGroups.rewind`."""
        await self._rewind(app, group, tidy(position) or FIRST)

    async def read(self, app: str, after: str, limit: int) -> list[Entry]:
        """See `EventLog.read`."""
        log, *_ = self._keys.log(app)
        first = f"({tidy(after)}" if after else "-"
        found = await self._client.run(lambda redis: redis.xrange(log, first, "+", limit), log)
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
        return [
            _entry(app, position, *(fields.get(name, b"") for name in (b"corp", b"type", b"payload")))
            for position, fields in ((tidy(found.decode()).encode(), fields) for found, fields in rows)
            if position != LAST.encode()  # an id that is no position
        ]

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Entry]:
        """See `EventLog.dead`."""
        rows = await self._dead(app, group, tidy(after), limit)
        return [_entry(app, *fields) for fields in rows]

    async def retry(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventGroups.retry`."""
        return await self._in_parts(self._retry, app, group, positions)

    async def lags(self, app: str) -> list[Lag]:
        """See `EventGroups.lags`."""
        lags = []
        for group in await self._groups(app):
            unhandled, dead, since, stuck, attempts, members = await self._lag(app, group)
            oldest = datetime.fromtimestamp(int(since) / 1000, UTC) if since else None
            lags.append(Lag(app, group, unhandled, dead, oldest, stuck.decode(), attempts, members))
        return lags

    async def delete_group(self, app: str, group: str) -> Deletion:
        """See `EventGroups.delete_group`."""
        deletion = await self._delete(app, group)
        return Deletion(deletion.decode())

    async def trim(self, app: str, keep: Retention) -> None:
        """See `EventGroups.trim`."""
        log, *_ = self._keys.log(app)
        await self._trim([log], [milliseconds(keep.age), keep.count])

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        """See `EventGroups.forget_groups`."""
        for group in await self._groups(app):
            await self._forget(app, group, milliseconds(unused_for))

    async def _groups(self, app: str) -> list[str]:
        """Return the names of an app's groups; remove what is none."""
        *_, groups = self._keys.log(app)
        names = await self._client.run(lambda redis: _names_in(redis, groups), groups)
        if odd := [name for name in names if not GROUP_NAME.fullmatch(name)]:
            await self._client.run(lambda redis: redis.zrem(groups, *odd), groups)
        return sorted(name.decode() for name in set(names) - set(odd))

    @staticmethod
    async def _in_parts(script: GroupScript, app: str, group: str, positions: Sequence[str]) -> int:
        """Run the script on batches of the positions, and return the sum of its counts."""
        written = [position for position in map(tidy, positions) if position]
        count = 0
        for start in range(0, len(written), AT_ONCE):
            count += await script(app, group, *written[start : start + AT_ONCE])
        return count

    def _of_a_group(self, name: str) -> GroupScript:
        script = self._client.script(group_script(name))

        async def run(app: str, group: str, *arguments: str | int) -> Any:  # noqa: ANN401 - as each script answers
            available = self._keys.notice(NoticeKind.AVAILABLE, topic(app), 0)
            keys = [*self._keys.log(app), *self._keys.group(app, group)]
            return await script(keys, [group, self._keys.channel, available, *arguments])

        return run


async def _names_in(redis: Redis, key: str) -> list[bytes]:
    try:
        return cast("list[bytes]", await redis.zrange(key, 0, -1))
    except ResponseError as error:
        if not is_of_wrong_type(error):
            raise
        return []  # the next write removes what is in the way


def _entry(app: str, position: bytes, corp_id: bytes, event_type: bytes, payload: bytes) -> Entry:
    return Entry(
        app, corp_id.decode(errors="replace"), event_type.decode(errors="replace"), payload, position.decode()
    )
