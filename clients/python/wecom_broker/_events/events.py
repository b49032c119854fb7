"""Events: what WeCom called the broker about, handed to who cares."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from wecom_broker._events.event import Event
from wecom_broker._events.event_stream import EventStream, subscription
from wecom_broker.v1 import event_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator
    from datetime import timedelta

    from wecom_broker._connection.connection import Connection

Item = TypeVar("Item")

_MOST = 1000
"""Ids in one call."""


class Events:
    """The part of the client that is handed events."""

    _connection: Connection

    def events(
        self,
        group: str,
        *,
        apps: Iterable[str] = (),
        event_types: Iterable[str] = (),
        replay_from: datetime | str | None = None,
        max_in_flight: int | None = None,
        ack_timeout: timedelta | None = None,
    ) -> EventStream:
        """Return the events that a member of the group is handed: at least once, each to one member.

            async for event in broker.events(group="crm"):
                await handle(event)

        `EventStream` says when an event is acknowledged. The stream goes on over restarts of the broker; then
        an event may come that was handled before.

        Args:
            group: The group whose work is shared; a new one begins with the oldest event that is kept. With
                "" it is only looked on: all events from now on, nothing to acknowledge; what comes while the
                broker is away is missed.
            apps: By default all that the caller may subscribe to.
            event_types: Only these. Others count as handled: let all members of a group ask for the same.
            replay_from: Set the whole group back (or ahead) to this time, or to this event's id, once.
            max_in_flight: How many events may be on their way here, or handled and not acknowledged.
            ack_timeout: How long the broker waits for any acknowledgement before it takes the events for
                lost. Longer than the longest body.

        """
        request = pb.SubscribeEventsRequest(
            group=group,
            apps=_listed("apps", apps),
            event_types=_listed("event_types", event_types),
            max_in_flight=max_in_flight or 0,
            ack_timeout=ack_timeout,
        )
        if isinstance(replay_from, datetime):
            if replay_from.tzinfo is None:
                message = "replay_from must have a time zone"
                raise ValueError(message)
            request.replay_from_time.FromDatetime(replay_from)
        elif replay_from is not None:
            request.replay_from_event_id = replay_from
        return EventStream(partial(subscription, self._connection, request))

    async def acknowledge_events(self, group: str, events: Iterable[Event | str]) -> int:
        """Tell that events, or those of these ids, are handled; return how many were open until now.

        Only for who leaves a loop with a handled event, or drops dead ones. Raises BrokerError.
        """
        count = 0
        for event_ids in _parts(events):
            request = pb.AcknowledgeEventsRequest(group=group, event_ids=event_ids)
            response = await self._connection.call(self._connection.events.AcknowledgeEvents, request)
            count += response.acknowledged_count
        return count

    async def dead_events(self, group: str, app: str) -> AsyncGenerator[Event]:
        """Yield the events that the group gave up after too many tries. Raises BrokerError."""
        request = pb.ListDeadEventsRequest(group=group, app=app)
        while True:
            page = await self._connection.call(self._connection.events.ListDeadEvents, request)
            for message in page.events:
                yield Event.from_proto(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def retry_dead_events(self, group: str, events: Iterable[Event | str]) -> int:
        """Have dead events handed out again; return how many will be. Raises BrokerError."""
        count = 0
        for event_ids in _parts(events):
            request = pb.RetryDeadEventsRequest(group=group, event_ids=event_ids)
            response = await self._connection.call(self._connection.events.RetryDeadEvents, request)
            count += response.retried_count
        return count


def _parts(events: Iterable[Event | str]) -> Iterator[list[str]]:
    event_ids = [each.event_id if isinstance(each, Event) else each for each in _listed("events", events)]
    for start in range(0, len(event_ids), _MOST):
        yield event_ids[start : start + _MOST]


def _listed(name: str, given: Iterable[Item]) -> list[Item]:
    if isinstance(given, str):  # it would be taken for a list of letters
        message = f"{name} must be a list of them, not one"
        raise TypeError(message)
    return list(given)
