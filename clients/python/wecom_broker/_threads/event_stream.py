"""Loops over events, for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from wecom_broker._events.event import Event
    from wecom_broker._threads.background import Background


class EventStream:
    """The events that one member of a group gets, for a `for` loop in one thread at a time.

        for event in broker.events(group="crm"):
            handle(event)

    Events are acknowledged as in `wecom_broker.EventStream`: a body that ends normally has handled its event,
    one that is left by an exception, `break` or `return` has not.
    """

    def __init__(self, background: Background, subscribe: Callable[[], AsyncGenerator[Event]]) -> None:
        """Subscribe only when the first event is asked for."""
        self._background = background
        self._subscribe = subscribe
        self._closed = False
        self._begin()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __iter__(self) -> Self:
        """Begin a loop. An event that an earlier loop did not finish comes again."""
        if not self._closed:
            self._begin()
        return self

    def __next__(self) -> Event:
        """Acknowledge the event before, and wait for the next. Raises BrokerError."""
        return next(self._items)

    def close(self) -> None:
        """End the subscription, after trying for two seconds at most to acknowledge handled events."""
        self._closed = True
        self._background.end(self._events.aclose())

    def _begin(self) -> None:
        self._events = self._subscribe()
        # The iterator closes the events when it is garbage-collected.
        self._items = self._background.iterate(self._events)
