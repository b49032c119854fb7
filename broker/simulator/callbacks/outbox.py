"""The events that the world tells of by itself: sent in the background while a simulator runs."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from broker.simulator.callbacks.callback import Callback
from broker.simulator.callbacks.courier import Courier, Delivery
from broker.simulator.callbacks.messages import Occasion

_AT_ONCE = 8
_KEPT = 10_000


class Outbox:
    """Keep what waits to be sent, and how the latest events were answered.

    Events may be put in from any thread; until a simulator runs they wait.
    """

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self._waiting: deque[tuple[Callback, Delivery]] = deque()
        self._under_way = 0
        self._wakers: list[Callable[[], object]] = []
        self._settled: list[asyncio.Future[None]] = []

    def put(self, callback: Callback, occasion: Occasion) -> None:
        """Let an event be sent, soon."""
        self._waiting.append((callback, self.enter(occasion)))
        for wake in list(self._wakers):
            wake()

    def enter(self, occasion: Occasion) -> Delivery:
        """Begin the record of an event that its owner sends itself."""
        delivery = Delivery(occasion)
        self.deliveries.append(delivery)
        return delivery

    async def settled(self) -> None:
        """Wait, on the loop of the simulator, until nothing waits and nothing is under way."""
        while self._waiting or self._under_way:
            self._settled.append(done := asyncio.get_running_loop().create_future())
            await done

    @asynccontextmanager
    async def emptied(self, courier: Courier) -> AsyncIterator[None]:
        """Send what is put in, while inside; what is under way at the end is given up."""
        put = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, put.set)
        self._wakers.append(wake)
        carriers = [asyncio.create_task(self._carry(courier, put)) for _ in range(_AT_ONCE)]
        try:
            yield
        finally:
            self._wakers.remove(wake)
            for carrier in carriers:
                carrier.cancel()
            for outcome in await asyncio.gather(*carriers, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _carry(self, courier: Courier, put: asyncio.Event) -> None:
        while True:
            while self._waiting:
                await self._send_next(courier)
            put.clear()
            await put.wait()

    async def _send_next(self, courier: Courier) -> None:
        callback, delivery = self._waiting.popleft()
        self._under_way += 1
        try:
            await courier.deliver(callback, delivery)
        finally:
            self._under_way -= 1
            for done in self._settled:
                if not done.done():
                    done.set_result(None)
            self._settled.clear()
