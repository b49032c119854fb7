"""The tasks that a broker runs for itself: started here, and ended together."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer

Result = TypeVar("Result")
RESTART_DELAY = timedelta(seconds=1)


class Background:
    """Own tasks. As a context manager, it cancels what still runs at the end, and waits for it."""

    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._clock = clock
        self._tasks: set[asyncio.Task[Any]] = set()

    def create_task(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run the work to its end; its outcome is not reported."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run work that never ends; report an unexpected failure, and start it again."""
        return self.create_task(self._keep(name, work))

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the work must go on, and its failure be seen
                self._observer.background_failed(name, error)
            await self._clock.sleep(RESTART_DELAY)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
