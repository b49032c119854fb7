"""What each item costs with 10,000 children of an app, compared with 100: by processor time, in one process.

The core of a broker over a store in memory and the simulated WeCom of the unit tests: no network, and a clock
of their own, so that nothing else is measured. Each size has a fleet of its own, measured in turns.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from bench.rows import Row, tell
from broker.domain.credentials import CredentialKey, CredentialKind, Need
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, EngineWorld, Replica

FEW, MANY = 100, 10_000
ROUNDS = 5
LOOKED_AT = 100
"""How many items of a fleet are measured in a round, where each is one call."""
FLAT = 1.3
LATER = timedelta(minutes=1)


class Fleet(NamedTuple):
    """A replica that holds the tokens of many children."""

    world: EngineWorld
    replica: Replica
    keys: list[CredentialKey]


@asynccontextmanager
async def fleet_of(children: int) -> AsyncIterator[Fleet]:
    """Start one, and have it fetch all."""
    async with EngineWorld() as world:
        replica = await world.start()
        world.wecom.shares = [
            replace(CHILD_SHARE, corp_id=f"ww{number:016}", agent_id=number)
            for number in range(1, children + 1)
        ]
        await world.run(replica.shares.all(CRM))
        keys = [CredentialKey.child_token(CRM, share) for share in world.wecom.shares]
        for key in keys:
            await replica.engine.get(key)
        for key in keys:
            await replica.quota.take(key.of_kind(CredentialKind.CORP_TICKET), Need.RENEWAL)
        yield Fleet(world, replica, keys)


async def listing(fleet: Fleet) -> int:
    """List all children anew at WeCom."""
    await fleet.replica.lister.sync(CRM)
    return len(fleet.keys)


async def ticket(fleet: Fleet) -> int:
    """Count fetches of tickets within their limits."""
    for key in fleet.keys[:LOOKED_AT]:
        await fleet.replica.quota.take(key.of_kind(CredentialKind.AGENT_TICKET), Need.RENEWAL)
    return LOOKED_AT


async def refresh(fleet: Fleet) -> int:
    """Fetch tokens anew, with lease and commit."""
    for key in fleet.keys[:LOOKED_AT]:
        await fleet.replica.engine.refresh(key)
    return LOOKED_AT


async def restart(fleet: Fleet) -> int:
    """Have another replica bring all from the store into memory."""
    started = await fleet.world.start()
    await started.core.preloaded()
    count = len(started.memory)
    await started.crash()
    fleet.world.replicas.remove(started)
    return count


WORK: dict[str, Callable[[Fleet], Awaitable[int]]] = {
    "listing": listing,
    "ticket": ticket,
    "refresh": refresh,
    "restart": restart,
}


async def microseconds(work: Callable[[Fleet], Awaitable[int]], fleet: Fleet) -> float:
    """Return the processor time of each item."""
    # Nothing that was fetched before is new enough.
    await fleet.world.clock.jump(LATER)
    gc.collect()
    began = time.thread_time()
    items = await work(fleet)
    return (time.thread_time() - began) / items * 1e6


async def measure() -> None:
    """Tell how each cost grows."""
    async with fleet_of(FEW) as few, fleet_of(MANY) as many:
        gc.freeze()
        for name, work in WORK.items():
            pairs = [(await microseconds(work, few), await microseconds(work, many)) for _ in range(ROUNDS)]
            small, large = (statistics.median(column) for column in zip(*pairs, strict=True))
            grown = statistics.median(after / before for before, after in pairs)
            how = f"processor time of each, {small:.0f} and {large:.0f} µs, in memory"
            tell(Row(f"{name}, each of {MANY:,} children ÷ each of {FEW}", grown, "×", how, at_most=FLAT))


if __name__ == "__main__":
    asyncio.run(measure())
