"""One call at a time for each key, inside this process."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from datetime import timedelta
from typing import Any, Generic, TypeVar

from broker.domain.errors import WecomUnavailable
from broker.usecases.fleet.background import Background
from broker.usecases.limits.recovery_budget import current_recovery_budget

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

LONGEST_SECONDS = 30.0
"""How long a caller without a deadline of its own waits; the call goes on."""


class SingleFlight(Generic[Key, Result]):
    """Run one attempt at a time for each key; callers that come meanwhile share its outcome.

    A caller that goes away does not stop it: the next caller wants the same.
    """

    def __init__(self, tasks: Background) -> None:
        self._tasks = tasks
        self._flights: dict[Key, asyncio.Future[Result]] = {}

    def running(self, key: Key) -> asyncio.Future[Result] | None:
        """Return the future of the call under way, if there is one."""
        return self._flights.get(key)

    def start(self, key: Key, attempt: Callable[[], Coroutine[Any, Any, Result]]) -> asyncio.Future[Result]:
        """Start the attempt unless one for the key is under way; return its future."""
        if flight := self._flights.get(key):
            return flight
        flight = asyncio.get_running_loop().create_future()
        flight.add_done_callback(_retrieve)
        self._flights[key] = flight
        current_recovery_budget()  # begun here, so that the flight counts for the request that starts it
        self._tasks.create_task(self._fly(key, flight, attempt))
        return flight

    async def join(self, key: Key, attempt: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the outcome of the attempt under way, or of this one. Raises `WecomUnavailable`."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await asyncio.shield(self.start(key, attempt))
        except TimeoutError:
            raise WecomUnavailable(
                f"not ready within {LONGEST_SECONDS:.0f} s", timedelta(seconds=1)
            ) from None

    async def _fly(
        self,
        key: Key,
        flight: asyncio.Future[Result],
        attempt: Callable[[], Coroutine[Any, Any, Result]],
    ) -> None:
        try:
            result = await attempt()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits
            flight.set_exception(error)
        else:
            flight.set_result(result)
        finally:
            del self._flights[key]


def _retrieve(flight: asyncio.Future[Any]) -> None:
    """Retrieve the outcome: a call in the background may fail while nobody waits for it."""
    if not flight.cancelled():
        flight.exception()
