"""The newest value for one reader: a slow reader misses older ones, but delays no others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from broker.domain.errors import BrokerError

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """Yield what was put last, until it is closed or fails."""

    def __init__(self) -> None:
        self._newest: list[Value] = []
        self._error: BrokerError | None = None
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, value: Value) -> None:
        """Replace what was not read yet."""
        self._newest = [value]
        self._changed.set()

    def close(self) -> None:
        """End the stream: the broker stops, and the reader will find another replica."""
        self._closed = True
        self._changed.set()

    def fail(self, error: BrokerError) -> None:
        """End the stream with the error."""
        self._error = error
        self._changed.set()

    def end(self, error: BrokerError | None) -> None:
        """End the stream: with the error, or because the reader is to come again."""
        if error:
            self.fail(error)
        else:
            self.close()

    async def __aiter__(self) -> AsyncIterator[Value]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._error is not None:
                raise self._error
            if self._closed:
                return
            if self._newest:
                yield self._newest.pop()
