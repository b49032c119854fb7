"""A caller that loses its right to an app's events, perhaps by mistake, loses none of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from broker.domain.access import Action, Caller, Rule
from broker.domain.caller_policy import CallerPolicy
from broker.usecases.events.subscription import LOOK_EVERY
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.feed_world import APP, FeedReplica, FeedWorld, Subscriber

CALLER, OTHER_APP = "orders", "hr"


class Desk:
    """A replica, and the rules of the caller that subscribes there."""

    def __init__(self, world: FeedWorld, replica: FeedReplica) -> None:
        self.world = world
        self.replica = replica
        self._policy = CallerPolicy()
        self.allow(APP, OTHER_APP)

    def allow(self, *apps: str, corps: tuple[str, ...] = ("*",)) -> None:
        rule = Rule(apps, corps, frozenset({Action.EVENT_SUBSCRIBE}))
        self._policy.replace([Caller(CALLER, rules=(rule,) if apps else ()), Caller("another")])

    async def joins(self) -> Subscriber:
        caller, action = Caller(CALLER), Action.EVENT_SUBSCRIBE
        return await self.replica.joins(
            apps=(APP, OTHER_APP),
            may_see=lambda app, corp_id: self._policy.may(caller, action, app, corp_id),
            may_see_some=lambda app: self._policy.may_somewhere(caller, action, app),
        )

    async def during_a_claim(self, happens: Callable[[], Awaitable[None] | None]) -> None:
        """Have new events claimed, and something happen before the answer is here."""
        gate = self.replica.log.gate = asyncio.Event()
        await self.world.append("a1 b1")
        await self.world.append("a2 b2", app=OTHER_APP)
        await self.world.clock.advance(LOOK_EVERY)
        if done := happens():
            await done
        gate.set()
        self.replica.log.gate = None
        await settle()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with FeedWorld() as world:
        yield Desk(world, await world.start())


async def test_what_is_claimed_as_the_right_is_lost_comes_once_it_is_back(desk: Desk) -> None:
    cut = await desk.joins()
    await desk.during_a_claim(desk.allow)
    await cut.leaves()
    assert "" == cut.words

    desk.allow(APP, OTHER_APP)
    again = await desk.joins()

    assert ["a1", "a2", "b1", "b2"] == sorted(again.words.split())
    assert {(0, 1)} == {(delivery.attempts, delivery.count) for delivery in again.got}


async def test_the_right_to_one_app_is_lost_and_the_other_ones_events_come(desk: Desk) -> None:
    subscriber = await desk.joins()
    await desk.during_a_claim(lambda: desk.allow(OTHER_APP))
    assert "a2 b2" == subscriber.words
    await subscriber.leaves()

    desk.allow(APP, OTHER_APP)
    assert {"a1", "b1"} <= set((await desk.joins()).words.split())


async def test_a_rule_for_fewer_corps_passes_over_the_events_of_the_others(desk: Desk) -> None:
    subscriber = await desk.joins()
    await desk.during_a_claim(lambda: desk.allow(APP, OTHER_APP, corps=("b",)))
    assert "b1 b2" == subscriber.words
    await subscriber.leaves()

    desk.allow(APP, OTHER_APP)
    assert ["b1", "b2"] == sorted((await desk.joins()).words.split())


async def test_who_has_left_claims_for_no_further_app(desk: Desk) -> None:
    subscriber = await desk.joins()
    before = len(desk.replica.log.takes)
    await desk.during_a_claim(subscriber.leaves)

    assert [APP] == [member.app for member in desk.replica.log.takes[before:]]
