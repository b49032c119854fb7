"""The tasks that a broker runs for itself: started here, and ended together."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from broker.domain.ports.observer import Observer

AGAIN_SECONDS = 1.0


class Background:
    """Own tasks. Enter it; leaving cancels what still runs, and waits for it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._tasks: set[asyncio.Task[Any]] = set()

    def create_task(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Run the errand; whoever needs its outcome has arranged for it."""
        task = asyncio.create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run what never ends; after an unexpected failure it is told, and started again."""
        self.create_task(self._keep(name, work))

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a broker without this work would rot in silence
                self._observer.background_failed(name, error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
