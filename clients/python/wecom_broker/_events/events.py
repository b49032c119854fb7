"""Events and messages that WeCom pushed to the broker (事件与消息)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from wecom_broker._events.event import Event
from wecom_broker._events.event_stream import EventStream, subscription
from wecom_broker._spans import Span, span
from wecom_broker.v1 import event_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from wecom_broker._connection.connection import Connection

Item = TypeVar("Item")

_MOST = 1000
"""The most ids in one call."""


class Events:
    """The part of the client that receives events."""

    _connection: Connection

    def events(
        self,
        group: str,
        *,
        apps: Iterable[str] = (),
        event_types: Iterable[str] = (),
        replay_from: datetime | str | None = None,
        max_in_flight: int | None = None,
        ack_timeout: Span | None = None,
    ) -> EventStream:
        """Return the events that this member of the group gets; each goes to one member, at least once.

            async for event in broker.events(group="crm"):
                await handle(event)

        `EventStream` says when an event is acknowledged. The stream survives restarts of the broker; then an
        event that was handled may come again.

        Args:
            group: The group whose members share the work; a new one begins with the oldest event that is
                kept. Without a group ("") you only observe: all events from now on, nothing to acknowledge;
                events that come while the broker is down are missed.
            apps: By default all that the caller may subscribe to.
            event_types: Only these. Others count as handled, so all members of a group must ask for the same.
            replay_from: Move the whole group back (or ahead) to this time, or to this event's id, once.
            max_in_flight: How many events this member may have been sent and not have acknowledged.
            ack_timeout: How long the broker waits for an acknowledgement before it gives the events to
                another member. Must be longer than the longest loop body.

        """
        request = pb.SubscribeEventsRequest(
            group=group,
            apps=_listed("apps", apps),
            event_types=_listed("event_types", event_types),
            max_in_flight=max_in_flight or 0,
            ack_timeout=None if ack_timeout is None else span("ack_timeout", ack_timeout),
        )
        if isinstance(replay_from, datetime):
            if replay_from.tzinfo is None:
                raise ValueError("replay_from must have a time zone")
            request.replay_from_time.FromDatetime(replay_from)
        elif replay_from is not None:
            request.replay_from_event_id = replay_from
        return EventStream(partial(subscription, self._connection, request))

    async def acknowledge_events(self, group: str, events: Iterable[Event | str]) -> int:
        """Acknowledge events, given as `Event` or by id; return how many were not acknowledged before.

        Needed only to leave a loop after handling an event, or to drop dead events. Raises BrokerError.
        """
        count = 0
        for event_ids in _parts(events):
            request = pb.AcknowledgeEventsRequest(group=group, event_ids=event_ids)
            response = await self._connection.call(self._connection.stubs.events.AcknowledgeEvents, request)
            count += response.acknowledged_count
        return count

    async def dead_events(self, group: str, app: str) -> AsyncGenerator[Event]:
        """Yield the events that the group failed to handle too many times. Raises BrokerError."""
        request = pb.ListDeadEventsRequest(group=group, app=app)
        while True:
            page = await self._connection.call(self._connection.stubs.events.ListDeadEvents, request)
            for message in page.events:
                yield Event.from_proto(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def retry_dead_events(self, group: str, events: Iterable[Event | str]) -> int:
        """Have dead events delivered again; return how many will be. Raises BrokerError."""
        count = 0
        for event_ids in _parts(events):
            request = pb.RetryDeadEventsRequest(group=group, event_ids=event_ids)
            response = await self._connection.call(self._connection.stubs.events.RetryDeadEvents, request)
            count += response.retried_count
        return count


def _parts(events: Iterable[Event | str]) -> Iterator[list[str]]:
    event_ids = [each.event_id if isinstance(each, Event) else each for each in _listed("events", events)]
    for start in range(0, len(event_ids), _MOST):
        yield event_ids[start : start + _MOST]


def _listed(name: str, given: Iterable[Item]) -> list[Item]:
    if isinstance(given, str):  # a string would be read as a list of letters
        raise TypeError(f"{name} must be a list, not one string")
    return list(given)
