"""Leases and the tasks that hold them."""

import asyncio

from tests.kit.memory.engine_world import EngineWorld
from tests.kit.memory.fake_clock import settle
from tests.kit.spans import Spans


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


async def test_the_wait_for_another_replicas_lease_is_a_span_of_the_request_that_waits() -> None:
    spans, name = Spans(), "authorization:crm:ww1"
    async with EngineWorld() as world:
        world.tracer = spans.tracer
        one, other = await world.start(), await world.start()

        async def wait() -> None:
            async with other.fleet.alone(name):
                pass

        async with one.fleet.alone(name):
            in_background = asyncio.create_task(wait())
            with spans.span_of_caller() as work:
                of_request = asyncio.create_task(wait())
                await settle()
        await settle()
        await world.clock.advance(one.fleet._poll)
        await asyncio.gather(in_background, of_request)

    waits = spans.named("lease authorization")
    assert waits
    assert {work.span_id} == {span.parent.span_id for span in waits if span.parent}
    assert all(span.parent for span in waits)
    assert b"crm" not in spans.everything()
