"""Who lost its events leaves them to others for a while; a clock that is set back does not make that last."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from broker.domain.events.log import Member
from broker.usecases.events.group_member import YIELDS_FOR, GroupMember
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
async def member(world: FeedWorld, clock: SkewedClock) -> GroupMember:
    member = Member(APP, GROUP, "one", EVERYTHING, 10, ACK_TIMEOUT, HOUR, 3)
    log = (await world.start()).log
    return GroupMember(
        member,
        log=log,
        groups=log,
        may_see=lambda _app, _corp_id: True,
        may_see_some=lambda _app: True,
        clock=clock,
        randomness=CountedChance(),  # type: ignore[arg-type]
    )


async def test_it_takes_though_the_clock_was_set_back(
    world: FeedWorld, member: GroupMember, clock: SkewedClock
) -> None:
    clock.skew = -HOUR
    await world.append("a1")

    assert await member.claim()
    assert member.read()


async def test_it_rests_after_it_lost_its_events_and_no_longer_than_that(
    world: FeedWorld, member: GroupMember, clock: SkewedClock
) -> None:
    await world.append("a1")
    assert await member.claim()
    await world.clock.advance(ACK_TIMEOUT)
    assert not await member.claim()  # finds out that it lost it
    assert not await member.claim()  # gets it again, and leaves it to others
    assert not await member.claim()

    await world.clock.advance(YIELDS_FOR / 2)
    assert not await member.claim()
    clock.skew = -HOUR
    assert await member.claim()
