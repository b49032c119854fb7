"""Loops over events: asking for the next event acknowledges the one before."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from wecom_broker._events.acknowledgements import Acknowledgements
from wecom_broker._events.event import Event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from wecom_broker._connection.connection import Connection
    from wecom_broker.v1 import event_service_pb2 as pb


class EventStream:
    """The events that one member of a group gets, for `async for`.

        async for event in broker.events(group="crm"):
            await handle(event)

    A body that ends normally or by `continue` has handled its event, which is acknowledged when the next one
    is asked for. A body left by an exception, `break`, `return` or a cancellation has not: the event comes
    again, here or to another member. To leave after handling an event, call `acknowledge_events`.

    Each loop is a subscription of its own, which ends a moment after the loop, unless a variable still refers
    to the stream. `async with broker.events(group="crm") as events:` ends it at the end of the block.
    """

    def __init__(self, subscribe: Callable[[], AsyncGenerator[Event]]) -> None:
        """Subscribe only when the first event is asked for."""
        self.subscribe = subscribe
        self._events = subscribe()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()

    def __aiter__(self) -> Self:
        """Begin a loop. An event that an earlier loop did not finish comes again."""
        if not self._closed:
            self._events = self.subscribe()
        return self

    async def __anext__(self) -> Event:
        """Acknowledge the event before, and wait for the next. Raises BrokerError."""
        return await anext(self._events)

    async def aclose(self) -> None:
        """End the subscription, after trying for two seconds at most to acknowledge handled events."""
        self._closed = True
        await self._events.aclose()


# The generator does not refer to the stream, so that Python closes it when a loop over it ends.
async def subscription(connection: Connection, request: pb.SubscribeEventsRequest) -> AsyncGenerator[Event]:
    """Yield the events of one subscription, across restarts of the broker.

    The request replays only until the broker has received it once.
    """

    def opened() -> None:
        request.ClearField("replay_from_time")
        request.ClearField("replay_from_event_id")

    handled = Acknowledgements(connection, request.group)
    messages = connection.follow(
        connection.stubs.events.SubscribeEvents,
        request,
        on_open=opened,
        # Handled events that are not acknowledged yet would be delivered again.
        before_again=handled.settled,
    )
    with connection.before_end(handled.close):
        async with aclosing(messages), handled:
            async for message in messages:
                if message.event.event_id not in handled:
                    yield Event.from_proto(message.event, message.delivery_count)
                if request.group:
                    await handled.add(message.event.event_id)
