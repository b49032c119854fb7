"""The events that the world emits by itself: kept until a simulator runs and sends them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from broker.simulator.world.events.callback import Callback
from broker.simulator.world.events.delivery import Delivery
from broker.simulator.world.events.event import Event

_AT_ONCE = 8
_KEPT = 10_000

Deliver = Callable[[Callback, Delivery], Awaitable[object]]


class Outbox:
    """Hold the events that wait to be sent, and how the latest ones were answered.

    Events may be put in from any thread; until a simulator runs they wait.
    """

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self._waiting: deque[tuple[Callback, Delivery]] = deque()
        self._in_flight = 0
        self._wakers: list[Callable[[], object]] = []
        self._settled: list[asyncio.Future[None]] = []

    def put(self, callback: Callback, event: Event) -> None:
        """Queue an event to be sent."""
        self._waiting.append((callback, self.enter(event)))
        for wake in list(self._wakers):
            wake()

    def enter(self, event: Event) -> Delivery:
        """Begin the record of an event that the caller sends itself."""
        delivery = Delivery(event)
        self.deliveries.append(delivery)
        return delivery

    async def settled(self) -> None:
        """Wait until no event is waiting or in flight; to be called on the simulator's loop."""
        while self._waiting or self._in_flight:
            self._settled.append(done := asyncio.get_running_loop().create_future())
            await done

    @asynccontextmanager
    async def emptied(self, deliver: Deliver) -> AsyncIterator[None]:
        """Deliver queued events for the length of the block; those in flight at its end are given up."""
        put = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, put.set)
        self._wakers.append(wake)
        workers = [asyncio.create_task(self._work(deliver, put)) for _ in range(_AT_ONCE)]
        try:
            yield
        finally:
            self._wakers.remove(wake)
            for worker in workers:
                worker.cancel()
            for outcome in await asyncio.gather(*workers, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _work(self, deliver: Deliver, put: asyncio.Event) -> None:
        while True:
            while self._waiting:
                await self._deliver_next(deliver)
            put.clear()
            await put.wait()

    async def _deliver_next(self, deliver: Deliver) -> None:
        callback, delivery = self._waiting.popleft()
        self._in_flight += 1
        try:
            await deliver(callback, delivery)
        finally:
            self._in_flight -= 1
            for done in self._settled:
                if not done.done():
                    done.set_result(None)
            self._settled.clear()
