"""One cell of the matrix: a world, a load, a fault in the middle of it, and the verdict."""

import asyncio
import random
import tempfile
from pathlib import Path

from tests.chaos.bounds import bound, upstream
from tests.chaos.faults import Fault
from tests.chaos.load import steady_load
from tests.chaos.verdict import Verdict, coherent_after, exchanged, lost_codes, unproven
from tests.chaos.world import World, running
from tests.kit.processes.fleet import connect

BEFORE, AFTER = 1.0, 1.5
"""Seconds of load before the fault, about, and after it."""


async def run(fault: Fault, seed: int, *, seconds: float | None = None) -> Verdict:
    """Run it; the same seed chooses the same victim, moment and order of calls."""
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        running(fault.needs, Path(folder), patient=not fault.hits_store) as world,
    ):
        return await _verdict(fault, seed, world, fault.seconds if seconds is None else seconds)


async def _verdict(fault: Fault, seed: int, world: World, seconds: float) -> Verdict:
    chance = random.Random(seed)
    async with steady_load(world, random.Random(seed)) as load:
        await asyncio.sleep(BEFORE + chance.random())
        mend = await asyncio.to_thread(fault.begin, world, chance)
        healing = asyncio.create_task(coherent_after(world, load.seen)) if fault.heals else None
        await asyncio.sleep(seconds)
        await asyncio.to_thread(mend)
        coherent = healing or asyncio.create_task(coherent_after(world, load.seen))
        await asyncio.sleep(AFTER)
        await load.stop()
        took, wrong = await coherent
        ended, still_wrong = await coherent_after(world, load.seen)
        async with connect(*(broker.address for broker in world.brokers)) as replicas:
            return Verdict(
                cell=fault.name,
                seed=seed,
                seen=load.seen,
                upstream=upstream(world),
                bound=bound(fault, load.seen),
                codes=len(exchanged(world)),
                codes_lost=await lost_codes(world, replicas),
                unproven=unproven(world),
                coherent=None if ended is None else took,
                incoherent=wrong or still_wrong,
            )
