"""`SealedStore`: what does not open counts as missing; what an old key sealed is sealed anew."""

from collections.abc import Sequence

import pytest

from broker.adapters.storage.sealed_store import Seal, SealBroken, SealedStore, SealKey
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Record
from tests.contract.making import NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.waiting import listening
from tests.kit.memory.memory_store import MemoryStore, Shared

OLD = SealKey("k1", bytes(range(32)))
NEW = SealKey("k2", bytes(range(32, 64)))


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore(Shared(SystemClock()))


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def store(inner: MemoryStore, notebook: Notebook) -> SealedStore:
    return SealedStore(inner, Seal([OLD]), notebook)


async def test_every_way_to_write_seals(store: SealedStore, inner: MemoryStore) -> None:
    seal = Seal([OLD])

    async def sealed() -> bytes:
        return (await inner.load([NAME]))[NAME].payload

    await store.offer(record(1, b"offered"))
    assert b"offered" == seal.open(NAME, await sealed())
    await store.replace(record(1, b"replaced"))
    assert b"replaced" == seal.open(NAME, await sealed())
    lease = await taken(store)
    await store.commit(record(lease.fence, b"committed"), lease)
    assert b"committed" == seal.open(NAME, await sealed())


async def test_a_tombstone_passes_unsealed(
    store: SealedStore, inner: MemoryStore, notebook: Notebook
) -> None:
    await store.offer(record(1))
    await store.forget(NAME, 1)

    assert (1, b"") == await held(inner)
    assert (await store.load([NAME]))[NAME].is_tombstone
    assert [] == notebook.failures


async def test_what_was_moved_to_another_name_is_missing(
    store: SealedStore, inner: MemoryStore, notebook: Notebook
) -> None:
    await store.offer(record(1, b"payload", "child of ww1"))
    moved = (await inner.load(["child of ww1"]))["child of ww1"]
    await inner.offer(record(1, moved.payload, "child of ww2"))

    assert ["child of ww1"] == list(await store.load(["child of ww1", "child of ww2"]))
    assert [SealBroken] == [type(error) for error in notebook.failures]
    assert "child of ww2" in str(notebook.failures[0])


@pytest.mark.parametrize("keys", [[NEW], [SealKey("k1", bytes(32))]], ids=["unknown", "another of that name"])
async def test_what_a_wrong_key_sealed_is_missing_and_told(
    inner: MemoryStore, notebook: Notebook, keys: list[SealKey]
) -> None:
    await SealedStore(inner, Seal([OLD]), Notebook()).offer(record(1))

    assert {} == await SealedStore(inner, Seal(keys), notebook).load([NAME])
    assert ["opening a record"] == notebook.told


@pytest.mark.parametrize("garbage", [b"x", b"\x02k1", b"\x02k1123", b"\x02k1" + b"x" * 12, b"\xff"])
async def test_garbage_is_missing_and_told(
    store: SealedStore, inner: MemoryStore, notebook: Notebook, garbage: bytes
) -> None:
    await inner.offer(record(1, garbage))
    await store.offer(record(1, b"good", "good"))

    assert ["good"] == list(await store.load([NAME, "good"]))
    assert ["opening a record"] == notebook.told


async def test_what_does_not_open_is_written_over(store: SealedStore, inner: MemoryStore) -> None:
    await inner.offer(record(1, b"garbage"))
    lease = await taken(store)

    assert await store.commit(record(lease.fence), lease)
    assert (lease.fence, b"payload") == await held(store)


async def test_what_an_old_key_sealed_is_opened_and_sealed_with_the_first(
    inner: MemoryStore, notebook: Notebook
) -> None:
    await SealedStore(inner, Seal([OLD]), notebook).offer(record(1))
    rotated = SealedStore(inner, Seal([NEW, OLD]), notebook)

    async with listening(inner) as ear:
        assert (1, b"payload") == await held(rotated)
        assert ear.heard.empty(), "nothing changed for anybody"
    assert (1, b"payload") == await held(SealedStore(inner, Seal([NEW]), notebook))
    assert [] == notebook.failures


async def test_what_the_first_key_sealed_is_left_as_it_is(store: SealedStore, inner: MemoryStore) -> None:
    await store.offer(record(1))
    before = await held(inner)
    await store.load([NAME])

    assert before == await held(inner)


async def test_what_was_forgotten_while_it_is_sealed_anew_stays_forgotten(notebook: Notebook) -> None:
    class Forgetful(MemoryStore):
        """Somebody forgets the record right after it was read."""

        async def load(self, names: Sequence[str]) -> dict[str, Record]:
            found = await super().load(names)
            await self.forget(NAME, found[NAME].fence)
            return found

    inner = Forgetful(Shared(SystemClock()))
    await SealedStore(inner, Seal([OLD]), notebook).offer(record(1))
    await SealedStore(inner, Seal([NEW, OLD]), notebook).load([NAME])

    assert (await inner.load([NAME]))[NAME].is_tombstone


async def test_a_store_that_is_away_is_away_for_the_sealed_one_too(
    store: SealedStore, inner: MemoryStore, notebook: Notebook
) -> None:
    inner.cut()

    for command in (store.load([NAME]), store.ping(), store.offer(record(1)), store.counts(["a"])):
        with pytest.raises(StoreUnavailable):
            await command
    assert [] == notebook.failures
