"""The newest value for one reader: a slow reader misses older ones, but delays no others."""

import asyncio
from typing import Any, Generic, Self, TypeVar

from broker.domain.errors import BrokerError

Value = TypeVar("Value")
NOTHING: Any = object()
"""Stands for no value."""


class Latest(Generic[Value]):
    """Yield what was put last, until it is closed or fails.

    There are tens of thousands of these: an `asyncio.Event` or a generator in each would take more memory
    than all the rest of it.
    """

    __slots__ = ("_closed", "_error", "_newest", "_waiting")

    def __init__(self) -> None:
        self._newest: Value = NOTHING
        self._error: BrokerError | None = None
        self._closed = False
        self._waiting: asyncio.Future[None] | None = None

    def put(self, value: Value) -> None:
        """Replace what was not read yet."""
        self._newest = value
        self._wake()

    def close(self) -> None:
        """End the stream: the broker stops, and the reader will find another replica."""
        self._closed = True
        self._wake()

    def fail(self, error: BrokerError) -> None:
        """End the stream with the error."""
        self._error = error
        self._wake()

    def end(self, error: BrokerError | None) -> None:
        """End the stream: with the error, or because the reader is to come again."""
        if error:
            self.fail(error)
        else:
            self.close()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Value:
        while True:
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            if self._newest is not NOTHING:
                newest, self._newest = self._newest, NOTHING
                return newest
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
