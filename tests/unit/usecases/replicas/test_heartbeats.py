"""Each replica sees the others by their last word, and how old that is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.replica_codec import REPLICAS
from broker.adapters.storage.seal import Seal, SealKey
from broker.domain.ports.clock import Clock
from broker.domain.replica.clocks import MAX_CLOCK_OFFSET
from broker.domain.replica.report import BEAT_INTERVAL, KEPT, SILENT_AFTER, Meeting, ReplicaReport, SealUse
from broker.usecases.fleet.background import Background
from broker.usecases.replicas.heartbeats import Heartbeats
from tests.contract.observer import Notebook
from tests.kit.memory.engine_world import Witness
from tests.kit.memory.fake_clock import FakeClock, SkewedClock
from tests.kit.memory.memory_store import MemoryStore, Shared

HOUR = timedelta(hours=1)
K1, K2 = SealKey("k1", b"1" * 32), SealKey("k2", b"2" * 32)


class Fleet:
    """What heartbeats need of a world: a store, and a clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shared = Shared(self.clock)
        self.stores: dict[str, MemoryStore] = {}

    def replica(
        self, name: str, *meetings: Meeting, keys: Sequence[SealKey] = (K1,), clock: Clock | None = None
    ) -> Heartbeats:
        own = clock or self.clock
        store = self.stores[name] = MemoryStore(self.shared)
        reports = SealedCollection(store, Seal(keys), REPLICAS, Notebook())
        report = ReplicaReport(
            name=name,
            at=self.clock.now(),
            version="1.2",
            started_at=self.clock.now(),
            obstacle="",
            wecom_healthy=False,
            wecom_error="WeCom is slow",
            credentials=41,
            seal_keys=(SealUse("k1", True, True, 12), SealUse("k9", False, False, 3)),
            clock_problem="the store's is 600 s ahead",
            certificates={"certificate": self.clock.now() + timedelta(days=20)},
            meetings=meetings,
        )
        return Heartbeats(reports, store, lambda: replace(report, at=own.now()), own)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_each_replica_sees_all_as_they_reported_themselves(fleet: Fleet) -> None:
    one, other = fleet.replica("one"), fleet.replica("other")
    for replica in (one, other):
        await replica.beat()

    seen = await one.fleet()

    assert ["one", "other"] == [replica.name for replica in seen]
    assert seen == await other.fleet()
    assert [fleet.clock.now()] * 2 == [replica.at for replica in seen]
    [_, report] = [replica.report for replica in seen]
    assert report
    assert (41, "WeCom is slow") == (report.credentials, report.wecom_error)
    assert (SealUse("k1", True, True, 12), SealUse("k9", False, False, 3)) == report.seal_keys
    assert {"certificate": fleet.clock.now() + timedelta(days=20)} == report.certificates


async def test_a_replica_reports_again_and_again(fleet: Fleet) -> None:
    one, other = fleet.replica("one"), fleet.replica("other")
    async with Background(Witness(), fleet.clock) as tasks:
        tasks.keep_running("reporting", one.run)
        for _ in range(20):
            await fleet.clock.advance(BEAT_INTERVAL)
            [seen, _] = await other.fleet()
            assert not seen.is_silent(fleet.clock.now())


async def test_a_replica_that_says_no_more_is_silent_and_later_gone(fleet: Fleet) -> None:
    one, other = fleet.replica("one"), fleet.replica("other")
    began = fleet.clock.now()
    await one.beat()

    await fleet.clock.jump(SILENT_AFTER)
    [silent, here] = await other.fleet()
    assert silent.is_silent(fleet.clock.now())
    assert not here.is_silent(fleet.clock.now())
    assert began == silent.at

    await fleet.clock.jump(KEPT)
    assert ["other"] == [replica.name for replica in await other.fleet()]


async def test_a_replica_whose_clock_was_ahead_is_seen_as_it_is_once_that_is_set_right(fleet: Fleet) -> None:
    clock = SkewedClock(fleet.clock)
    one, other = fleet.replica("one", clock=clock), fleet.replica("other")
    clock.skew = 8 * HOUR
    await one.beat()

    clock.skew = timedelta(0)
    for _ in range(3):
        await fleet.clock.jump(BEAT_INTERVAL)
        await one.beat()
        [seen, _] = await other.fleet()
        assert fleet.clock.now() == seen.at
        assert not seen.is_silent(fleet.clock.now())

    await fleet.clock.jump(SILENT_AFTER)
    [seen, _] = await other.fleet()
    assert seen.is_silent(fleet.clock.now())


async def test_a_report_of_a_time_to_come_tells_nothing_of_now(fleet: Fleet) -> None:
    clock = SkewedClock(fleet.clock)
    one, other = fleet.replica("one", clock=clock), fleet.replica("other")
    clock.skew = MAX_CLOCK_OFFSET
    await one.beat()
    [seen, _] = await other.fleet()
    assert not seen.is_silent(fleet.clock.now())

    clock.skew = HOUR
    await one.beat()
    [seen, _] = await other.fleet()
    assert seen.is_silent(fleet.clock.now())


async def test_a_replica_that_ends_in_good_order_is_gone_at_once(fleet: Fleet) -> None:
    one, other = fleet.replica("one"), fleet.replica("other")
    await one.beat()
    await one.leave()

    assert ["other"] == [replica.name for replica in await other.fleet()]


async def test_a_replica_that_seals_with_another_key_is_seen_and_cannot_be_read(fleet: Fleet) -> None:
    one, other = fleet.replica("one", keys=[K2, K1]), fleet.replica("other")
    await one.beat()

    [seen, _] = await other.fleet()

    assert ("one", fleet.clock.now(), None) == (seen.name, seen.at, seen.report)


async def test_without_the_store_a_replica_sees_itself(fleet: Fleet) -> None:
    one, other = fleet.replica("one"), fleet.replica("other")
    await one.beat()
    fleet.stores["other"].cut()

    assert ["other"] == [replica.name for replica in await other.fleet()]


async def test_an_outage_of_the_store_ends_no_heartbeat(fleet: Fleet) -> None:
    one, other = fleet.replica("one"), fleet.replica("other")
    fleet.stores["one"].cut()
    async with Background(Witness(), fleet.clock) as tasks:
        tasks.keep_running("reporting", one.run)
        await fleet.clock.advance(BEAT_INTERVAL)
        fleet.stores["one"].mend()
        await fleet.clock.advance(BEAT_INTERVAL)

        assert ["one", "other"] == [replica.name for replica in await other.fleet()]


async def test_what_the_others_met_is_known(fleet: Fleet) -> None:
    met = Meeting("access_token:crm:own:ww1:7", fleet.clock.now(), 300, ("orders",))
    one, other = fleet.replica("one", met), fleet.replica("other")
    for replica in (one, other):
        await replica.beat()

    assert [met] == await other.meetings_elsewhere()
    assert [] == await one.meetings_elsewhere()
