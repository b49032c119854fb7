"""Who lost its events leaves them to others for a while; a clock that is set back does not make that last."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from broker.domain.event_log import Member
from broker.usecases.events.group_member import REST, GroupMember
from tests.kit.memory.fake_clock import SkewedClock
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.feed_world import ACK_TIMEOUT, APP, EVERYTHING, GROUP, FeedWorld

HOUR = timedelta(hours=1)


@pytest.fixture
async def world() -> AsyncIterator[FeedWorld]:
    async with FeedWorld() as world:
        yield world


@pytest.fixture
def clock(world: FeedWorld) -> SkewedClock:
    """The replica's view of a clock that may be set back."""
    return SkewedClock(world.clock)


@pytest.fixture
async def taker(world: FeedWorld, clock: SkewedClock) -> GroupMember:
    member = Member(APP, GROUP, "one", EVERYTHING, 10, ACK_TIMEOUT, HOUR, 3)
    log = (await world.start()).log
    return GroupMember(log, member, lambda _app, _corp_id: True, clock, CountedChance())  # type: ignore[arg-type]


async def test_it_takes_though_the_clock_was_set_back(
    world: FeedWorld, taker: GroupMember, clock: SkewedClock
) -> None:
    clock.skew = -HOUR
    await world.append("a1")

    assert await taker.take()
    assert taker.read()


async def test_it_rests_after_it_lost_its_events_and_no_longer_than_that(
    world: FeedWorld, taker: GroupMember, clock: SkewedClock
) -> None:
    await world.append("a1")
    assert await taker.take()
    await world.clock.advance(ACK_TIMEOUT)
    assert not await taker.take()  # finds out that it lost it
    assert not await taker.take()  # gets it again, and leaves it to others
    assert not await taker.take()

    await world.clock.advance(REST / 2)
    assert not await taker.take()
    clock.skew = -HOUR
    assert await taker.take()
