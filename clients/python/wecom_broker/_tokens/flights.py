"""One call for all callers that ask for the same thing at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from wecom_broker._connection.failures import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

Result = TypeVar("Result")


class Flights(Generic[Result]):
    """The calls in progress. A cancelled waiter neither cancels the call nor affects the other waiters."""

    def __init__(self) -> None:
        """Start with none."""
        self._tasks: dict[Hashable, asyncio.Task[Result]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[object, object, Result]]) -> Result:
        """Return the result of the call in progress for this key, or of a new one. Raises what it raises."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(start(), name="wecom_broker call")
            task.add_done_callback(lambda landed: self._land(key, landed))
        with translated():
            return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel the calls; their waiters get BrokerClosed."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _land(self, key: Hashable, task: asyncio.Task[Result]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # marks the exception as retrieved, even if every waiter has left
