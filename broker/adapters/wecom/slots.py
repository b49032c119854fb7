"""Slots for calls: so many at once, and a queue before them that has an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from broker.domain.errors import WecomUnavailable

SOON = timedelta(seconds=1)


class Slots:
    """Hand out slots in the order in which they are asked for."""

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._waiting = 0

    @asynccontextmanager
    async def taken(self, endpoint: str) -> AsyncIterator[None]:
        """Hold a slot; wait for one if others hold all. Raises `WecomUnavailable` if too many wait."""
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise WecomUnavailable("too many such calls wait for their turn", SOON, endpoint=endpoint)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
