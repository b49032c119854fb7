"""All suites' records count as loaded only once those of every suite are, also of one that a reload adds."""

import asyncio

from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.suite_codecs import AUTHORIZATIONS as CODEC
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.usecases.fleet.background import Background
from broker.usecases.suites.enlisted import AUTHORIZATIONS, Enlisted
from tests.contract.observer import Notebook
from tests.kit.memory.engine_world import Witness
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.memory_store import MemoryStore, NoSeal, Shared


class Shelf:
    """The authorisations that a store lists; each is taken over once the test lets it."""

    def __init__(self, *suites: str) -> None:
        self.clock = FakeClock()
        self.taken: list[str] = []
        self._turns = asyncio.Semaphore(0)
        self._store = MemoryStore(Shared(self.clock))
        self._collection = SealedCollection(self._store, NoSeal(), CODEC, Notebook())
        self.suites = [*suites]
        self.enlisted = Enlisted(
            AUTHORIZATIONS, self.suites, self._collection, self._take, self._store, self.clock
        )

    async def put(self, suite: str) -> None:
        now = self.clock.now()
        found = Authorization(suite, "wpABC", 1, AuthorizationState.CANCELLED, None, "", now, now)
        await self.enlisted.enlist(suite, found.corp_id)
        assert await self._collection.offer(found)

    async def lets(self, count: int) -> None:
        for _ in range(count):
            self._turns.release()
        await settle()

    async def _take(self, found: Authorization) -> None:
        await self._turns.acquire()
        self.taken.append(found.suite)


async def test_a_suite_that_is_added_while_others_are_loaded_is_not_loaded_with_them() -> None:
    shelf = Shelf("crm")
    await shelf.put("crm")
    await shelf.put("hr")
    async with Background(Witness(), shelf.clock) as tasks:
        tasks.keep_running("loading", shelf.enlisted.run)
        await settle()
        shelf.suites.append("hr")
        shelf.enlisted.load_anew()

        await shelf.lets(2)
        assert ["crm", "crm"] == shelf.taken
        assert not shelf.enlisted.loaded.is_set()

        await shelf.lets(1)
        assert ["crm", "crm", "hr"] == shelf.taken
        assert shelf.enlisted.loaded.is_set()
