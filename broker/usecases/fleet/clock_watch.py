"""Ask other clocks what time it is, above all where those that were heard contradict each other."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.errors import BrokerError
from broker.domain.ports.clock import Ask, FleetClock
from broker.domain.ports.observer import Observer
from broker.domain.replica.clocks import Witness

EVERY = timedelta(seconds=1)
STORE_ASKED_EVERY = 30
"""Rounds between two questions to the store: a suspended machine may keep its connection, and lose time."""
IN_DOUBT_EVERY = 60
"""Rounds between two questions to all while clocks contradict each other."""
AT_ONCE_EVERY = 10
"""The fewest rounds between two questions to all, however often the doubt changes."""


class ClockWatch:
    """Keep a replica's clock right, and tell operators which clock is wrong.

    WeCom's time comes with each of its answers. It is asked for only in doubt: that costs a request, though
    none that WeCom counts.
    """

    def __init__(self, clock: FleetClock, asks: Mapping[Witness, Ask], observer: Observer) -> None:
        self._clock = clock
        self._asks = asks
        self._observer = observer
        self._round = self._store_asked = self._all_asked = 0
        self._ever_heard: set[Witness] = set()
        self._settled = _Doubt()
        """What was still in doubt after all were asked."""

    async def settle(self) -> None:
        """Compare before anything is fetched: what a wrong clock dates, the whole fleet believes."""
        await self._ask(Witness.STORE)
        if self._clock.compared().problem:
            await self._ask(Witness.WECOM)
        self._settled = self._doubt()
        self._observer.clocks_compared(self._clock.compared())

    async def run(self) -> None:
        """Compare once a second, for ever."""
        while True:
            await self._clock.sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """Ask whoever has to be asked now, and report."""
        self._round += 1
        doubt = self._doubt()
        rounds = IN_DOUBT_EVERY if doubt == self._settled else AT_ONCE_EVERY
        if doubt.exists and self._round - self._all_asked >= rounds:
            self._all_asked = self._round
            for witness in self._asks:
                await self._ask(witness)
            self._settled = self._doubt()
        elif self._round - self._store_asked >= STORE_ASKED_EVERY:
            await self._ask(Witness.STORE)
        self._observer.clocks_compared(self._clock.compared())

    async def _ask(self, witness: Witness) -> None:
        """Ask one clock; an answer that does not come changes nothing."""
        if witness is Witness.STORE:
            self._store_asked = self._round
        if ask := self._asks.get(witness):
            with suppress(BrokerError):
                await self._clock.ask(witness, ask)

    def _doubt(self) -> "_Doubt":
        compared = self._clock.compared()
        self._ever_heard |= compared.told.keys()
        return _Doubt(compared.far_off, frozenset(self._ever_heard - compared.told.keys()))


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why the clocks should be asked."""

    far_off: frozenset[Witness] = frozenset()
    silenced: frozenset[Witness] = frozenset()
    """Clocks whose word counts no more, since this machine's clock was set."""

    @property
    def exists(self) -> bool:
        return bool(self.far_off or self.silenced)
