"""The parts of the client for threads that deal with events and callbacks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from wecom_broker.errors import BrokerClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
    from datetime import datetime, timedelta

    from wecom_broker import _broker
    from wecom_broker._events.event import Event
    from wecom_broker._threads.background import Background


class EventStream:
    """The events that one member of a group is handed, for `for`; of one thread at a time.

        for event in broker.events(group="crm"):
            handle(event)

    Events are acknowledged as by `wecom_broker.EventStream`: a body that ends normally has handled its event,
    one left by an exception, `break` or `return` has not.
    """

    def __init__(self, background: Background, subscribe: Callable[[], AsyncGenerator[Event]]) -> None:
        """Subscribe to nothing before the first event is asked for."""
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
        """Begin a loop. The event that another one was left with comes again."""
        if not self._closed:
            self._begin()
        return self

    def __next__(self) -> Event:
        """Acknowledge the event before, and wait for the next. Raises BrokerError."""
        return next(self._items)

    def close(self) -> None:
        """End the subscription, once what was handled is acknowledged or could not be for two seconds."""
        self._closed = True
        with suppress(BrokerClosed):
            self._background.result(self._events.aclose())

    def _begin(self) -> None:
        self._events = self._subscribe()
        # It closes the events when it is collected itself.
        self._items = self._background.iterate(self._events)


class Events:
    """`wecom_broker._events.events` for threads."""

    _broker: _broker.Broker
    _background: Background

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
        """Return the events that a member of the group is handed: at least once, each to one member."""
        stream = self._broker.events(
            group,
            apps=apps,
            event_types=event_types,
            replay_from=replay_from,
            max_in_flight=max_in_flight,
            ack_timeout=ack_timeout,
        )
        return EventStream(self._background, stream.subscribe)

    def acknowledge_events(self, group: str, events: Iterable[Event | str]) -> int:
        """Tell that events are handled; return how many were open until now. Raises BrokerError."""
        return self._background.result(self._broker.acknowledge_events(group, events))

    def dead_events(self, group: str, app: str) -> Iterator[Event]:
        """Yield the events that the group gave up after too many tries. Raises BrokerError."""
        return self._background.iterate(self._broker.dead_events(group, app))

    def retry_dead_events(self, group: str, events: Iterable[Event | str]) -> int:
        """Have dead events handed out again; return how many will be. Raises BrokerError."""
        return self._background.result(self._broker.retry_dead_events(group, events))


class Callbacks:
    """`wecom_broker._events.callbacks` for threads."""

    _broker: _broker.Broker
    _background: Background

    def verify_url(
        self,
        app: str,
        *,
        msg_signature: str,
        timestamp: str,
        nonce: str,
        echostr: str,
    ) -> bytes:
        """Check a URL verification, and return what to answer, within a second. Raises BrokerError."""
        return self._background.result(
            self._broker.verify_url(
                app,
                msg_signature=msg_signature,
                timestamp=timestamp,
                nonce=nonce,
                echostr=echostr,
            ),
        )

    def open_envelope(
        self,
        app: str,
        body: bytes,
        *,
        msg_signature: str,
        timestamp: str,
        nonce: str,
    ) -> Event:
        """Check and open what WeCom posted. Raises BrokerError."""
        return self._background.result(
            self._broker.open_envelope(
                app,
                body,
                msg_signature=msg_signature,
                timestamp=timestamp,
                nonce=nonce,
            ),
        )

    def seal_reply(self, app: str, message: str, corp: str = "") -> bytes:
        """Seal a passive reply; answer the POST with what returns. Raises BrokerError."""
        return self._background.result(self._broker.seal_reply(app, message, corp))
