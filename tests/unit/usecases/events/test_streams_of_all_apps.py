"""A stream that names no app is of all apps: what a reload adds comes on it, what it removes stops."""

from collections.abc import AsyncIterator

import pytest

from broker.domain.errors import InvalidRequest, UnknownApp
from broker.usecases.events.feed import MOST_GROUPS
from broker.usecases.events.subscription import LOOK_EVERY
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.feed_world import APP, GROUP, FeedReplica, FeedWorld, Subscriber

ADDED = "hr"
both_kinds = pytest.mark.parametrize("observes", [False, True], ids=["a group", "an observer"])


@pytest.fixture
async def world() -> AsyncIterator[FeedWorld]:
    async with FeedWorld() as world:
        yield world


class Apps:
    """The apps with callbacks, which a reload changes."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def now(self) -> tuple[str, ...]:
        if not self.names:
            raise InvalidRequest("apps", "there is none")
        return self.names

    async def become(self, replica: FeedReplica, *names: str) -> None:
        self.names = names
        replica.feed.follow()
        await settle()


async def opened(replica: FeedReplica, apps: Apps, *, observes: bool, group: str = GROUP) -> Subscriber:
    options = {"apps": apps.now(), "present": apps.now}
    return await (replica.observes(**options) if observes else replica.joins(group, **options))


@both_kinds
async def test_an_app_that_is_added_comes_on_the_open_stream(world: FeedWorld, *, observes: bool) -> None:
    replica, apps = await world.start(), Apps(APP)
    stream = await opened(replica, apps, observes=observes)
    await world.append("a1")
    await apps.become(replica, APP, ADDED)
    await world.append("b1", app=ADDED)
    await world.append("a2")

    assert "a1 b1 a2" == stream.words
    assert not stream.ended


@both_kinds
async def test_what_came_to_a_replica_that_knew_the_app_earlier_is_not_missed(
    world: FeedWorld, *, observes: bool
) -> None:
    replica, apps = await world.start(), Apps(APP)
    stream = await opened(replica, apps, observes=observes)
    await world.append("b1 b2", app=ADDED)
    await apps.become(replica, APP, ADDED)

    assert "b1 b2" == stream.words


@both_kinds
async def test_an_app_that_is_removed_stops_and_goes_on_when_it_is_back(
    world: FeedWorld, *, observes: bool
) -> None:
    replica, apps = await world.start(), Apps(APP, ADDED)
    stream = await opened(replica, apps, observes=observes)
    await apps.become(replica, APP)
    await world.append("b1", app=ADDED)
    await world.append("a1")
    assert "a1" == stream.words
    await apps.become(replica, APP, ADDED)

    assert "a1 b1" == stream.words
    assert not stream.ended


async def test_what_was_not_read_of_a_removed_app_is_others(world: FeedWorld) -> None:
    replica, other, apps = await world.start(), await world.start(), Apps(APP, ADDED)
    stream = await opened(replica, apps, observes=False)
    stream.gate.clear()
    await world.append("a1")
    await world.append("b1 b2", app=ADDED)
    await apps.become(replica, APP)
    stream.gate.set()
    await settle()
    later = await opened(other, Apps(ADDED), observes=False)

    assert ("a1", "b1 b2") == (stream.words, later.words)
    assert [1, 1] == [delivery.count for delivery in later.got], "nobody had seen them"


async def test_an_observer_who_reads_slowly_gets_no_more_of_a_removed_app(world: FeedWorld) -> None:
    replica, apps = await world.start(), Apps(APP, ADDED)
    stream = await opened(replica, apps, observes=True)
    stream.gate.clear()
    await world.append("b1 b2 b3", app=ADDED)
    await apps.become(replica, APP)
    stream.gate.set()
    await world.append("a1")

    assert "b1 a1" == stream.words


@both_kinds
async def test_a_stream_of_all_apps_ends_with_the_last_one(world: FeedWorld, *, observes: bool) -> None:
    replica, apps = await world.start(), Apps(APP)
    stream = await opened(replica, apps, observes=observes)
    await apps.become(replica)

    assert isinstance(stream.failure, InvalidRequest)


@both_kinds
async def test_a_stream_that_names_a_removed_app_ends(world: FeedWorld, *, observes: bool) -> None:
    replica, is_there = await world.start(), [True]

    def named() -> tuple[str, ...]:
        if is_there[0]:
            return (APP,)
        raise UnknownApp("it is gone", app=APP)

    async def opens() -> Subscriber:
        return await (replica.observes(present=named) if observes else replica.joins(present=named))

    stream = await opens()
    is_there[0] = False
    replica.feed.follow()
    await settle()

    assert isinstance(stream.failure, UnknownApp)
    assert isinstance((await opens()).failure, UnknownApp), "it went while the stream was being opened"


async def test_a_reload_while_a_stream_is_opened_is_not_missed(world: FeedWorld) -> None:
    replica, apps = await world.start(), Apps(APP)
    options = {"apps": apps.now(), "present": apps.now}
    apps.names = (APP, ADDED)
    stream = await replica.joins(**options)
    await world.append("b1", app=ADDED)

    assert "b1" == stream.words


async def test_an_outage_delays_what_is_added_and_ends_nothing(world: FeedWorld) -> None:
    replica, apps = await world.start(), Apps(APP)
    stream = await opened(replica, apps, observes=False)
    replica.store.cut()
    await apps.become(replica, APP, ADDED)
    await world.append("b1", app=ADDED)
    assert "" == stream.words
    replica.store.mend()
    await world.clock.advance(2 * LOOK_EVERY)

    assert "b1" == stream.words
    assert not stream.ended


async def test_an_added_app_with_too_many_groups_is_told(world: FeedWorld) -> None:
    replica, apps = await world.start(), Apps(APP)
    for number in range(MOST_GROUPS):
        await (await replica.joins(f"orders/{number}", apps=(ADDED,))).leaves()
    stream = await opened(replica, apps, observes=False)
    await apps.become(replica, APP, ADDED)

    assert isinstance(stream.failure, InvalidRequest)
    assert "is one more than" in str(stream.failure)
