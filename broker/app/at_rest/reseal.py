"""Seal with the first key all that the configured store holds, without a broker."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from broker.adapters.storage.reseal import Resealed, Resealing
from broker.adapters.storage.seal import Seal
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_check import proves_a_key
from broker.app.at_rest.seal_keys import proven_keys
from broker.app.errors import CannotStart
from broker.app.store import connect
from broker.config.schema import Config
from broker.telemetry.observer import Telemetry

__all__ = ["Resealed", "reseal"]


async def reseal(config: Config) -> AsyncIterator[Resealed]:
    """Yield what is done so far, at last all of it. Raises `CannotStart`, `StoreUnavailable`."""
    if config.store.is_embedded and not config.store.path.exists():
        raise CannotStart(f"store.url: {config.store.path} does not exist")
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        opened = await connect(stack, config, clock, Telemetry(clock))
        await opened.store.ping()
        seal = Seal(await proven_keys(opened.store, config))
        async for done in Resealing(opened.at_rest, seal, proves_a_key).run():
            yield done
