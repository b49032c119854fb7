"""What the gate costs a call before it goes out: one question to the store."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from broker.domain.errors import RateLimited
from broker.domain.ports.rate_gate import CallScope
from broker.usecases.limits.circuit_breaker import CircuitBreakers
from broker.usecases.limits.rate_gate import LIMITS, RateGate
from tests.kit.memory.engine_world import PARENT, EngineWorld, Replica, settle
from tests.kit.memory.wecom import Endpoint


class SlowCounters:
    """Counters of a store that takes its time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def count(self, name: str, window: timedelta) -> int:
        self.asked.append(name)
        await self.answers.wait()
        return 1

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        raise NotImplementedError


def gate_of(world: EngineWorld, replica: Replica, counters: SlowCounters) -> RateGate:
    breakers = CircuitBreakers(world.clock, world.randomness)
    return RateGate(counters, replica.error_cache, breakers, [Endpoint.CHILD_TOKEN], replica.tasks)


async def test_a_call_does_not_wait_until_it_is_counted(world: EngineWorld, replica: Replica) -> None:
    counters = SlowCounters()

    await gate_of(world, replica, counters).before(CallScope("crm", PARENT, Endpoint.CHILD_TOKEN))

    await settle()
    # All at once: the store gets them in one piece.
    assert len(LIMITS) == len(counters.asked)


async def test_what_callers_choose_is_not_counted(world: EngineWorld, replica: Replica) -> None:
    counters = SlowCounters()

    await gate_of(world, replica, counters).before(CallScope("crm", PARENT, "/cgi-bin/message/send"))

    await settle()
    assert [] == counters.asked


async def test_a_limit_that_a_callers_own_call_meets_closes_nothing_for_other_apps(
    world: EngineWorld, replica: Replica
) -> None:
    path, other = "/cgi-bin/message/send", await world.start()
    limited = CallScope("crm", PARENT, path, is_proxied=True)

    await replica.gate.after(limited, RateLimited("crm's own for today", errcode=45009))

    for gate in (replica.gate, other.gate):
        with pytest.raises(RateLimited):
            await gate.before(limited)
        await gate.before(CallScope("alarm", PARENT, path, is_proxied=True))
        await gate.before(CallScope("crm", "ww-child", path, is_proxied=True))
        await gate.before(CallScope("crm", PARENT, path))
