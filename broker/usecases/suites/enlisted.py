"""The records of all suites that the store lists by group: loaded when a replica starts, and again later."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Groups, Notice
from broker.usecases.fleet.notifications import EVERYTHING

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
BATCH = 50
"""How many records are loaded in one step: opening them takes about a millisecond."""
AUTHORIZATIONS, INSTALLATIONS = "authorizations", "installations"
"""The kinds of groups: the names in a store."""
MOST = 1_000_000
"""How many names are asked for: all of them."""
RETRY_INTERVAL = timedelta(seconds=1)

Value = TypeVar("Value")


class Enlisted(Generic[Value]):
    """List records by suite, and load all that are listed."""

    def __init__(
        self,
        kind: str,
        suites: Iterable[str],
        collection: Collection[tuple[str, str], Value],
        adopt: Callable[[Value], Awaitable[None]],
        groups: Groups,
        clock: Clock,
        *,
        held: Callable[[str], Mapping[str, datetime]] = lambda _suite: {},
    ) -> None:
        self._kind = kind
        self._suites = suites
        """The present ones: a reload may add some."""
        self._collection = collection
        self._adopt = adopt
        self._groups = groups
        self._clock = clock
        self._held = held
        """Returns the names of a suite's records in memory, and until when they are kept."""
        self._due = asyncio.Event()
        self._due.set()
        self._additions = 0
        """How often suites were added."""
        self.loaded = asyncio.Event()
        """Set once everything was loaded for the first time, and again after suites were added."""

    async def enlist(self, suite: str, name: str, keep_until: datetime = FOREVER) -> None:
        """List a record, before it is written. Raises `StoreUnavailable`."""
        await self._groups.enlist(self._group(suite), name, keep_until)

    async def strike(self, suite: str, name: str) -> None:
        """List a record no more. Raises `StoreUnavailable`."""
        await self._groups.strike(self._group(suite), name)

    def on_notice(self, notice: Notice) -> None:
        """Load everything again after a lost connection, and with other seal keys.

        Notices of new records may have been missed, and a store that lost its data has lost the names too.
        """
        if notice.kind in EVERYTHING:
            self._due.set()

    def load_anew(self) -> None:
        """Load everything again: suites were added, of which nothing is in memory."""
        self._additions += 1
        self.loaded.clear()
        self._due.set()

    async def run(self) -> None:
        """Load what is listed, now and after each lost connection, for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            began_with = self._additions
            try:
                await self.load()
            except StoreUnavailable:
                self._due.set()
                await self._clock.sleep(RETRY_INTERVAL)
            else:
                # A load passes over the suites that are added while it runs: the next one has them.
                if began_with == self._additions:
                    self.loaded.set()

    async def wait_until_loaded(self, longest: timedelta) -> None:
        """Return once everything was loaded. Raises `StoreUnavailable` after that long."""
        if self.loaded.is_set():
            return
        try:
            async with asyncio.timeout(longest.total_seconds()):
                await self.loaded.wait()
        except TimeoutError:
            raise StoreUnavailable(f"the {self._kind} are not loaded yet", longest) from None

    async def load(self) -> None:
        """Load what is listed now. Raises `StoreUnavailable`."""
        for suite in list(self._suites):
            await self._load(suite)

    async def _load(self, suite: str) -> None:
        # All names at once: those that come or go meanwhile would shift the next page.
        names = await self._groups.members(self._group(suite), 0, MOST)
        for start in range(0, len(names), BATCH):
            keys = [(suite, name) for name in names[start : start + BATCH]]
            for stored in (await self._collection.load(keys)).values():
                if stored.value is not None:
                    await self._adopt(stored.value)
        listed = set(names)
        for name, keep_until in self._held(suite).items():
            if name not in listed:
                await self.enlist(suite, name, keep_until)

    def _group(self, suite: str) -> str:
        return f"{self._kind}:{suite}"
