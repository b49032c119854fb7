"""The seal keys of a broker that runs: the store proves them, at the start and at each reload."""

from collections.abc import Callable, Sequence

from broker.adapters.storage.seal import Seal, SealKey
from broker.app.at_rest.key_file import KeyFileUnusable, make_key, missing, read_key
from broker.app.at_rest.seal_check import SEAL_CHECK, check_seal, prove_keys
from broker.app.errors import CannotStart
from broker.config.schema import Config
from broker.domain.ports.store import Store
from broker.domain.replica.report import SealUse


class SealKeys:
    """The keys of the seal of everything in one store; a reload replaces them."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store = store
        self._seal = seal
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call the listener after each replacement: what lacked a key may open now. It must not raise."""
        self._listeners.append(listener)

    async def check(self, config: Config) -> list[SealKey]:
        """Return the configured keys once the fleet's store proves them. Raises as `proven_keys`."""
        return await proven_keys(self._store, config)

    def uses(self) -> list[SealUse]:
        """Return what each key opened, and which keys were missed."""
        return self._seal.uses()

    def replace(self, keys: Sequence[SealKey]) -> None:
        """Use keys that were checked, from now on; what another sealed meanwhile is waited for."""
        self._seal.replace(keys)
        for tell in self._listeners:
            tell()


async def proven_keys(store: Store, config: Config) -> list[SealKey]:
    """Return the configured keys if they are the fleet's, or new ones beside them.

    Raises `CannotStart`, which names the key, and `StoreUnavailable`.
    """
    keys = await _configured(store, config)
    await check_seal(store, keys)
    return keys


async def present_keys(store: Store, config: Config) -> list[SealKey]:
    """Return the keys that there are, proven, and write nothing; none of an embedded store that is new.

    Raises as `proven_keys`.
    """
    keys = await _present(store, config)
    if keys:
        await prove_keys(store, keys)
    return keys


async def _configured(store: Store, config: Config) -> list[SealKey]:
    """Return the configured keys; without any, the embedded store's own, made at its first start."""
    if keys := await _present(store, config):
        return keys
    try:
        return [make_key(config.store.path)]
    except KeyFileUnusable as error:
        raise CannotStart(f"store.url: {error}") from None


async def _present(store: Store, config: Config) -> list[SealKey]:
    if config.store.seal_keys:
        return [SealKey(key.id, key.key_bytes()) for key in config.store.seal_keys]
    database = config.store.path
    try:
        if key := read_key(database):
            return [key]
        if await store.load([SEAL_CHECK]):
            raise missing(database)
    except KeyFileUnusable as error:
        raise CannotStart(f"store.url: {error}") from None
    return []
