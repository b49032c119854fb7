"""The events that one subscription has handled, until the broker knows it.

Rule 1: an event is told until the broker heard it; what fails is told again, with what has come since.
Rule 2: telling goes on beside the handling of the next events, one call at a time.
Rule 3: whoever is too far ahead of the broker waits.
Rule 4: a definitive refusal is raised to who handles the events.
Rule 5: the end is a last try, for a moment; what is left then is logged, and handed out again.
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

_ROOM = 100
_LAST_TRY = timedelta(seconds=2)
_GATHERING = timedelta(milliseconds=2)
"""So that fast loops do not make a call for each event."""

_log = logging.getLogger("wecom_broker")


class Acknowledgements:
    """What is handled and not told yet, of one member of a group."""

    def __init__(self, connection: Connection, group: str) -> None:
        """Start with none."""
        self._connection = connection
        self._group = group
        self._waiting: dict[str, None] = {}
        # Apart from those that wait: an event that is handed out again while it is told, is told again.
        self._under_way: dict[str, None] = {}
        self._telling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Try a last time."""
        await self.close()

    def __len__(self) -> int:
        return len(self._waiting.keys() | self._under_way.keys())

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._waiting or event_id in self._under_way

    async def add(self, event_id: str) -> None:
        """Take an event that is handled. Raises BrokerError if the broker will not hear of it."""
        self._connection.require_open()
        self._waiting[event_id] = None
        if self._telling is None or self._telling.done():
            await self.settled()
            self._telling = asyncio.create_task(self._tell(), name="wecom_broker acknowledgements")
        if len(self) >= _ROOM:
            await self.settled()

    async def settled(self) -> None:
        """Wait until the broker knows all. Raises BrokerError if it will not hear of it."""
        if self._telling is not None:
            with translated():
                await asyncio.shield(self._telling)

    async def close(self) -> None:
        """Try a last time, and stop. May be repeated."""
        self._closing.set()
        try:
            async with asyncio.timeout(_LAST_TRY.total_seconds()):
                await self.settled()
        except Exception as failure:  # noqa: BLE001  the end is not the place to fail
            if self:
                _log.warning("%d handled events will come again: %s", len(self), failure or "no answer")
        finally:
            self._waiting.clear()
            if self._telling is not None:
                self._telling.cancel()
                await asyncio.wait([self._telling])

    async def _tell(self) -> None:
        backoff = Backoff()
        while self._waiting:
            await self._pause(_GATHERING)
            self._under_way, self._waiting = self._waiting, {}
            try:
                await self._tell_once(list(self._under_way))
            except Exception as failure:  # also what a failing source of bearer tokens raises
                self._waiting = self._under_way | self._waiting
                if self._closing.is_set() or isinstance(failure, DEFINITIVE):
                    raise
                _log.info("%d events are acknowledged again: %s", len(self._waiting), failure)
                await self._pause(backoff.delay(at_least=patience(failure)))
            else:
                backoff = Backoff()
            finally:
                self._under_way = {}

    async def _tell_once(self, event_ids: list[str]) -> None:
        events = self._connection.events
        request = pb.AcknowledgeEventsRequest(group=self._group, event_ids=event_ids)
        # It may wait for a broker that is away, as nobody waits for it.
        await self._connection.call(events.AcknowledgeEvents, request, wait_for_ready=True)

    async def _pause(self, delay: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(delay.total_seconds()):
                await self._closing.wait()
