"""Replicas get a new seal key, and lose an old one, in any order; a wrong key is a clear error."""

from itertools import permutations

import pytest

from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_check import SEAL_CHECK, check_seal
from broker.app.errors import CannotStart
from broker.domain.ports.store import Record
from tests.contract.making import FAR
from tests.kit.memory.memory_store import MemoryStore, Shared

OLD, NEW, STRANGE = SealKey("k1", bytes(32)), SealKey("k2", bytes([2] * 32)), SealKey("k9", bytes([9] * 32))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Shared(SystemClock()))


@pytest.mark.parametrize("starts", list(permutations([(OLD,), (OLD, NEW), (NEW, OLD)])))
async def test_replicas_start_in_any_order_while_a_key_is_changed(
    store: MemoryStore, starts: tuple[tuple[SealKey, ...], ...]
) -> None:
    await check_seal(store, [OLD])
    for keys in starts:
        await check_seal(store, keys)
    await check_seal(store, [NEW])
    await check_seal(store, [OLD])


async def test_a_key_that_no_replica_had_is_refused(store: MemoryStore) -> None:
    await check_seal(store, [OLD])

    problem = r"store\.seal_keys: no key opens .*'k1', which is not configured"
    for _ in range(2):
        with pytest.raises(CannotStart, match=problem):
            await check_seal(store, [STRANGE])


async def test_another_key_under_a_known_id_is_refused(store: MemoryStore) -> None:
    await check_seal(store, [OLD, NEW])

    with pytest.raises(CannotStart, match=r"store\.seal_keys: no key opens what is in the store as 'k2'"):
        await check_seal(store, [OLD, SealKey(NEW.id, STRANGE.key)])


async def test_the_record_of_an_older_broker_proves_a_key(store: MemoryStore) -> None:
    await store.offer(Record(SEAL_CHECK, 1, Seal([OLD]).close(SEAL_CHECK, b"sealed"), FAR))

    await check_seal(store, [NEW, OLD])
    await check_seal(store, [NEW])
