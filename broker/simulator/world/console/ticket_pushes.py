"""How suite_tickets are pushed: by hand, or again and again; some get lost, some arrive late."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

from broker.simulator.world.console.suite_events import SuiteEvents
from broker.simulator.world.events.kinds import EventKind
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.suites.suites import Suites
from broker.simulator.world.suites.tickets import SuiteTicket

Sleep = Callable[[float], Awaitable[object]]


class TicketPushes:
    """Push tickets to the command callbacks of suites; a suite is named by id or name."""

    def __init__(self, suites: Suites, events: SuiteEvents, now: Callable[[], float]) -> None:
        self._suites = suites
        self._events = events
        self._now = now
        self._every: dict[str, float] = {}
        self._to_lose: Counter[str] = Counter()
        self._to_hold: Counter[str] = Counter()
        self._held: defaultdict[str, list[SuiteTicket]] = defaultdict(list)
        self._wakers: list[Callable[[], object]] = []

    def push(self, suite: str) -> str:
        """Make a new ticket, push it unless it is to be lost or held, and return it. Raises LookupError."""
        known = self._suites.get(suite)
        ticket = self._suites.tickets.issue(known.suite_id, self._now())
        if self._to_lose[known.suite_id]:
            self._to_lose[known.suite_id] -= 1
        elif self._to_hold[known.suite_id]:
            self._to_hold[known.suite_id] -= 1
            self._held[known.suite_id].append(ticket)
        else:
            self._send(known, ticket)
            self.release(suite)
        return ticket.value

    def lose(self, suite: str, count: int = 1) -> None:
        """Lose the next tickets on the way. Raises LookupError."""
        self._to_lose[self._suites.get(suite).suite_id] += count

    def hold(self, suite: str, count: int = 1) -> None:
        """Hold the next tickets back; they follow the one after them, so that they arrive out of order.

        Raises LookupError.
        """
        self._to_hold[self._suites.get(suite).suite_id] += count

    def release(self, suite: str) -> int:
        """Send what is held back now, and return how many. Raises LookupError."""
        known = self._suites.get(suite)
        held = self._held.pop(known.suite_id, [])
        for ticket in held:
            self._send(known, ticket)
        return len(held)

    def every(self, seconds: float | None, suite: str | None = None) -> None:
        """Push a ticket at once, then one in each interval while a simulator runs; None stops it.

        Without a suite it applies to all. Raises LookupError, and ValueError for an interval of 0.
        """
        if seconds is not None and seconds <= 0:
            raise ValueError("an interval is more than 0 seconds")
        chosen = list(self._suites) if suite is None else [self._suites.get(suite)]
        for known in chosen:
            if seconds is None:
                self._every.pop(known.suite_id, None)
            else:
                self._every[known.suite_id] = seconds
        for wake in list(self._wakers):
            wake()

    async def run(self, sleep: Sleep) -> None:
        """Push by the intervals, until cancelled."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._wakers.append(wake := lambda: loop.call_soon_threadsafe(changed.set))
        try:
            async with asyncio.TaskGroup() as pushing:
                running: dict[tuple[str, float], asyncio.Task[None]] = {}
                while True:
                    changed.clear()
                    wanted = set(self._every.items())
                    for ended in running.keys() - wanted:
                        running.pop(ended).cancel()
                    for suite_id, seconds in wanted - running.keys():
                        pushes = self._push_every(suite_id, seconds, sleep)
                        running[suite_id, seconds] = pushing.create_task(pushes)
                    await changed.wait()
        finally:
            self._wakers.remove(wake)

    async def _push_every(self, suite_id: str, seconds: float, sleep: Sleep) -> None:
        while True:
            self.push(suite_id)
            await sleep(seconds)

    def _send(self, suite: Suite, ticket: SuiteTicket) -> None:
        kind = EventKind.SUITE_TICKET
        event = self._events.event(suite, kind, ticket.issued_at, code=ticket.value)
        self._events.push(self._events.callback(suite, kind, None), event)
