"""Leases and the tasks that hold them."""

import asyncio

from tests.kit.memory.engine_world import EngineWorld
from tests.kit.memory.fake_clock import settle


async def test_a_task_that_is_cancelled_while_it_gives_up_a_lease_ends() -> None:
    async with EngineWorld() as world:
        replica = await world.start()
        fleet = replica.fleet
        for steps in range(10):
            is_working, may_end = asyncio.Event(), asyncio.Event()

            async def work(is_working: asyncio.Event, may_end: asyncio.Event) -> None:
                async with fleet.alone("work"):
                    is_working.set()
                    await may_end.wait()
                await asyncio.Event().wait()

            task = asyncio.create_task(work(is_working, may_end))
            await is_working.wait()
            may_end.set()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await settle()

            assert task.cancelled(), steps
            await world.clock.advance(fleet._lease)
