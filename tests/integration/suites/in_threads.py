"""The client for threads behind the methods of the one for asyncio, so that one program runs with both."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Self

from wecom_broker import Event, sync

ENDED = object()


class InThreads:
    """Call each method in a thread, and read what it iterates over there."""

    def __init__(self, broker: sync.Broker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        """Return the method of that name as a coroutine function."""
        method = getattr(self._broker, name)

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *args, **options)

        return call

    def watch_access_token(self, *args: Any) -> AsyncGenerator[Any, None]:
        """See `Broker.watch_access_token`."""
        return _read(self._broker.watch_access_token(*args))

    def app_shares(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        """See `Broker.app_shares`."""
        return _read(self._broker.app_shares(*args, **options))

    def watch_app_shares(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        """See `Broker.watch_app_shares`."""
        return _read(self._broker.watch_app_shares(*args, **options))

    def events(self, *args: Any, **options: Any) -> "ThreadedEvents":
        """See `Broker.events`."""
        return ThreadedEvents(self._broker.events(*args, **options))


class ThreadedEvents:
    """A stream of events for `async with` and `async for`."""

    def __init__(self, stream: sync.EventStream) -> None:
        self._stream = stream

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the subscription."""
        await asyncio.to_thread(self._stream.close)

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        """Read the events in a thread."""
        async with aclosing(_read(self._stream)) as events:
            async for event in events:
                yield event


async def _read(items: Any) -> AsyncGenerator[Any, None]:
    iterator: Iterator[Any] = iter(items)
    try:
        while (item := await asyncio.to_thread(next, iterator, ENDED)) is not ENDED:
            yield item
    finally:
        if hasattr(iterator, "close"):
            await asyncio.to_thread(iterator.close)
