"""Whether the configured seal keys are the fleet's: each key has a record of its own in the store.

So replicas may get a new key, and lose an old one, in any order: who knows one key of the fleet may start.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from broker.adapters.storage.seal import Seal, SealBroken, SealKey
from broker.app.errors import CannotStart
from broker.domain.ports.store import Record, Store

SEAL_CHECK = "seal-check"
"""The record of the key that the first broker had; brokers before had no other."""
FAR = datetime(9999, 1, 1, tzinfo=UTC)


async def check_seal(store: Store, keys: Sequence[SealKey]) -> None:
    """Prove the keys, and leave a record of each for other replicas. Raises as `prove_keys`."""
    await prove_keys(store, keys)
    await store.offer(_record(SEAL_CHECK, keys[0]))
    for key in keys:
        await store.offer(_record(_name(key), key))


async def prove_keys(store: Store, keys: Sequence[SealKey]) -> None:
    """Raise `CannotStart` if no key opens what is in the store, or a key is not what the fleet calls so.

    Raises `StoreUnavailable`.
    """
    found = await store.load([SEAL_CHECK, *(_name(key) for key in keys)])
    known = [key for key in keys if _name(key) in found]
    for key in known:
        try:
            Seal([key]).open(_name(key), found[_name(key)].payload)
        except SealBroken as error:
            problem = f"no key opens what is in the store as {key.id!r}, whose bytes differ: {error}"
            raise CannotStart(f"store.seal_keys: {problem}") from None
    if not known and SEAL_CHECK in found:
        try:
            Seal(keys).open(SEAL_CHECK, found[SEAL_CHECK].payload)
        except SealBroken as error:
            raise CannotStart(f"store.seal_keys: no key opens what is in the store: {error}") from None


def proves_a_key(name: str) -> bool:
    """Return whether the record of that name must stay under the key that it proves."""
    return name.startswith(f"{SEAL_CHECK}:")


def _name(key: SealKey) -> str:
    return f"{SEAL_CHECK}:{key.id}"


def _record(name: str, key: SealKey) -> Record:
    return Record(name, 1, Seal([key]).close(name, b"sealed"), FAR)
