"""The events that one subscription has handled, until the broker has confirmed that.

Rule 1: acknowledgements are sent until the broker confirms them; failed ones are repeated, with later events.
Rule 2: events are acknowledged while the next ones are handled, one call at a time.
Rule 3: a loop with too many unconfirmed events waits.
Rule 4: a definitive refusal is raised in the loop that handles the events.
Rule 5: closing makes one short last try; events that are still unacknowledged are logged, and come again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from wecom_broker._connection.backoff import Backoff, patience
from wecom_broker._connection.failures import translated
from wecom_broker._connection.streams import DEFINITIVE
from wecom_broker.v1 import event_service_pb2 as pb

if TYPE_CHECKING:
    from wecom_broker._connection.connection import Connection

_MOST_UNACKNOWLEDGED = 100
_LAST_TRY = timedelta(seconds=2)
_BATCHING = timedelta(milliseconds=2)
"""Events handled within this time share a call."""

_log = logging.getLogger("wecom_broker")


class Acknowledgements:
    """The events that one member of a group has handled and not acknowledged yet."""

    def __init__(self, connection: Connection, group: str) -> None:
        """Start with none."""
        self._connection = connection
        # Looked up now, because the last try is made when the client is already closing.
        self._method = connection.stubs.events.AcknowledgeEvents
        self._group = group
        self._waiting: dict[str, None] = {}
        # Separate from the waiting ones: an event that comes again during its call is acknowledged again.
        self._under_way: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    def __len__(self) -> int:
        return len(self._waiting.keys() | self._under_way.keys())

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._waiting or event_id in self._under_way

    async def add(self, event_id: str) -> None:
        """Add a handled event. Raises BrokerError if the broker refuses acknowledgements for good."""
        self._connection.require_usable()
        self._waiting[event_id] = None
        if self._task is None or self._task.done():
            await self.settled()
            self._task = asyncio.create_task(self._acknowledge_all(), name="wecom_broker acknowledgements")
        if len(self) >= _MOST_UNACKNOWLEDGED:
            await self.settled()

    async def settled(self) -> None:
        """Wait until all are acknowledged. Raises BrokerError if the broker refuses for good."""
        if self._task is not None:
            with translated():
                await asyncio.shield(self._task)

    async def close(self) -> None:
        """Try once more to acknowledge, and stop. May be repeated."""
        self._closing.set()
        try:
            async with asyncio.timeout(_LAST_TRY.total_seconds()):
                await self.settled()
        except Exception as failure:  # noqa: BLE001  closing must not fail
            if self:
                _log.warning("%d handled events will come again: %s", len(self), failure or "no answer")
        finally:
            self._waiting.clear()
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])

    async def _acknowledge_all(self) -> None:
        backoff = Backoff()
        while self._waiting:
            await self._pause(_BATCHING)
            self._under_way, self._waiting = self._waiting, {}
            try:
                await self._acknowledge_once(list(self._under_way))
            except Exception as failure:  # also errors of the bearer token's source
                self._waiting = self._under_way | self._waiting
                if self._closing.is_set() or isinstance(failure, DEFINITIVE):
                    raise
                _log.info("%d events are acknowledged again: %s", len(self._waiting), failure)
                await self._pause(backoff.delay(at_least=patience(failure)))
            else:
                backoff = Backoff()
            finally:
                self._under_way = {}

    async def _acknowledge_once(self, event_ids: list[str]) -> None:
        request = pb.AcknowledgeEventsRequest(group=self._group, event_ids=event_ids)
        # It may wait for a broker that is down, because no caller waits for the call.
        await self._connection.call(self._method, request, wait_for_ready=True)

    async def _pause(self, delay: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(delay.total_seconds()):
                await self._closing.wait()
