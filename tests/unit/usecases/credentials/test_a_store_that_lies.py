"""Somebody writes to the store: others are served as before, WeCom and the log are spared."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.adapters.storage import codecs
from broker.domain.credentials import Credential
from broker.domain.ports.observer import Damage
from broker.domain.ports.store import Notice, NoticeKind, Record
from broker.usecases.fleet.leased_flight import LEASE, LOST_COMMITS
from tests.kit.memory.engine_world import OWN, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import SimulatedWecom

SECOND = timedelta(seconds=1)
POISON = 10**14


class Nothing(dict[str, object]):
    """Keep nothing: somebody deletes each lease as soon as it is taken."""

    def __setitem__(self, name: str, value: object) -> None:
        """Forget it."""


def stored(world: EngineWorld) -> Credential:
    return codecs.CREDENTIALS.decode(OWN, world.shared.records[OWN.name])


def publish(world: EngineWorld, kind: NoticeKind, fence: int) -> None:
    for connection in world.shared.connections:
        connection._on_notice(Notice(kind, OWN.name, fence))


async def test_a_store_that_refuses_every_commit_costs_a_few_fetches_and_is_told(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    world.shared.leases = Nothing()  # type: ignore[assignment]

    first = await world.run(replica.engine.get(OWN))
    assert LOST_COMMITS + 1 == wecom.count()
    await clock.advance(60 * SECOND)

    assert first == await world.run(replica.engine.get(OWN))
    assert LOST_COMMITS + 1 == wecom.count()
    assert [Damage.COMMIT] == [damage for damage, _ in replica.witness.damage]


async def test_nothing_is_renewed_ahead_of_time_while_the_store_refuses_commits(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    credential = await world.run(replica.engine.get(OWN))
    world.shared.leases = Nothing()  # type: ignore[assignment]
    await clock.advance((credential.expires_at - clock.now()) * 0.85)
    replica.refresh_ahead()
    before = wecom.count()
    for _ in range(60):
        await world.run(replica.engine.get(OWN))
        await clock.advance(SECOND)

    assert wecom.count() - before <= 3 * LOST_COMMITS


@pytest.mark.parametrize("payload", [b"garbage", None], ids=["garbage", "an older one"])
async def test_a_damaged_record_gives_way_to_what_replicas_hold(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, payload: bytes | None
) -> None:
    one, other = await world.fleet(2)
    await world.run(one.engine.get(OWN))
    old = world.shared.records[OWN.name]
    await clock.advance(SECOND)
    wecom.kill(stored(world).value)
    await world.run(one.engine.refresh(OWN))
    newest = await world.run(other.engine.get(OWN))
    fetches = wecom.count()

    world.shared.records[OWN.name] = replace(old, fence=POISON, payload=payload or old.payload)
    publish(world, NoticeKind.COMMITTED, POISON)
    await settle()

    assert newest == stored(world)
    assert [newest] * 2 == [await world.run(replica.engine.get(OWN)) for replica in (one, other)]
    assert fetches == wecom.count()
    told = [len(replica.witness.damage) for replica in (one, other)]
    assert 1 <= sum(told) <= 2
    await clock.advance(60 * SECOND)
    assert told == [len(replica.witness.damage) for replica in (one, other)]


async def test_a_replica_without_memory_fetches_above_a_poisoned_number(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    world.shared.records[OWN.name] = Record(OWN.name, POISON, b"garbage", world.clock.now() + 10 * LEASE)

    credential = await world.run(replica.engine.get(OWN))

    assert credential == stored(world)
    assert 1 == wecom.count()


async def test_a_forged_notice_of_forgetting_ends_no_watch(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    credential = await world.run(replica.engine.get(OWN))
    watch = replica.engine.watch(OWN)
    assert credential == await world.run(anext(watch))
    publish(world, NoticeKind.FORGOTTEN, POISON)
    await settle()
    await world.clock.advance(SECOND)
    wecom.kill(credential.value)
    _, renewed = await world.run(replica.engine.refresh(OWN))

    assert renewed == await world.run(anext(watch))
    await watch.aclose()
