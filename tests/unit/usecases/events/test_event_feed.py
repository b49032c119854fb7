"""The event feed on a log in memory: who gets what, and when."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.domain.errors import InvalidRequest, StoreUnavailable
from broker.domain.events.positions import position_at
from broker.usecases.events.feed import ALIVE_FOR, MOST_GROUPS
from broker.usecases.events.subscription import LOOK_EVERY
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.feed_world import (
    ACK_TIMEOUT,
    APP,
    GROUP,
    MAX_TRIES,
    FeedReplica,
    FeedWorld,
    Subscriber,
    options_with,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world() -> AsyncIterator[FeedWorld]:
    async with FeedWorld() as world:
        yield world


@pytest.fixture
async def replica(world: FeedWorld) -> FeedReplica:
    return await world.start()


async def acknowledge(replica: FeedReplica, *ids: str, group: str = GROUP) -> int:
    count = await replica.feed.acknowledge(group, ids, [APP, "hr"])
    await settle()
    return count


class TestWhatComes:
    async def test_what_came_before_and_what_comes_after(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        await world.append("a1 b1")
        subscriber = await replica.joins()
        await world.append("a2")

        assert "a1 b1 a2" == subscriber.words
        assert [(APP, GROUP, 0)] * 3 == replica.observer.delivered

    async def test_it_stands_before_there_is_an_event(self, replica: FeedReplica) -> None:
        subscriber = await replica.joins()

        assert subscriber.stands
        assert "" == subscriber.words

    async def test_several_apps_come_in_turn(self, world: FeedWorld, replica: FeedReplica) -> None:
        await world.append("a1 a2 a3")
        await world.append("b1 b2 b3", app="hr")
        subscriber = await replica.joins(apps=(APP, "hr"))
        await world.append("b4", app="hr")

        assert "a1 b1 a2 b2 a3 b3 b4" == subscriber.words

    async def test_only_the_types_that_are_asked_for(self, world: FeedWorld, replica: FeedReplica) -> None:
        subscriber = await replica.joins(event_types=frozenset({"click"}))
        await world.append("a1")
        await world.append("a2", event_type="click")

        assert "a2" == subscriber.words

    async def test_a_lost_notice_costs_two_seconds(self, world: FeedWorld, replica: FeedReplica) -> None:
        subscriber = await replica.joins()
        replica.store.deaf = True
        await world.append("a1")
        assert "" == subscriber.words
        await world.clock.advance(LOOK_EVERY)

        assert "a1" == subscriber.words

    async def test_a_replay_begins_anew_for_all_and_a_re_opening_goes_on(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        first = await replica.joins()
        ids = await world.append("a1 a2 a3")
        await acknowledge(replica, *ids)
        await first.leaves()
        second = await replica.joins(replay_from={APP: ids[1].partition(":")[2]})
        assert "a2 a3" == second.words
        await acknowledge(replica, ids[1])
        await second.leaves()

        assert "a3" == (await replica.joins()).words

    async def test_a_time_is_a_place_to_replay_from(self, world: FeedWorld, replica: FeedReplica) -> None:
        await acknowledge(replica, *await world.append("a1"))
        await world.clock.advance(SECOND)
        moment = world.clock.now()
        await world.append("a2")
        subscriber = await replica.joins(replay_from={APP: position_at(moment)})

        assert "a2" == subscriber.words


class TestWhatIsNotAcknowledged:
    async def test_it_goes_to_another_when_the_subscriber_leaves(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        leaver = await replica.joins()
        await world.append("a1 b1")
        stayer = await (await world.start()).joins()
        await leaver.leaves()

        assert "a1 b1" == stayer.words
        assert [1, 0] == [delivery.attempts for delivery in stayer.got]

    async def test_it_goes_to_another_when_the_subscriber_hangs(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        hanging = await replica.joins()
        await world.append("a1")
        healthy = await replica.joins()
        await world.clock.advance(ACK_TIMEOUT - SECOND)
        assert "" == healthy.words
        await world.clock.advance(SECOND + LOOK_EVERY)

        assert "a1" == healthy.words
        assert "a1" == hanging.words

    async def test_who_hangs_never_gets_ahead_of_others_again(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        groups = [f"orders/{number}" for number in range(12)]
        hanging = [await replica.joins(group) for group in groups]
        await world.append("a1")
        healthy = [await replica.joins(group) for group in groups]
        await world.clock.advance(ACK_TIMEOUT + LOOK_EVERY)

        assert ["a1"] * 12 == [subscriber.words for subscriber in healthy]
        assert ["a1"] * 12 == [subscriber.words for subscriber in hanging]

    async def test_who_hangs_alone_gets_it_again(self, world: FeedWorld, replica: FeedReplica) -> None:
        hanging = await replica.joins()
        await world.append("a1")
        await world.clock.advance(ACK_TIMEOUT + 3 * LOOK_EVERY)

        assert [0, 1] == [delivery.attempts for delivery in hanging.got]

    async def test_it_goes_to_another_when_the_replica_dies(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        await replica.joins()
        await world.append("a1")
        other = await (await world.start()).joins()
        replica.store.cut()
        await world.clock.advance(ALIVE_FOR - LOOK_EVERY - SECOND)
        assert "" == other.words
        await world.clock.advance(2 * LOOK_EVERY + SECOND)

        assert "a1" == other.words
        assert [0] == [delivery.attempts for delivery in other.got]

    async def test_another_replica_takes_the_acknowledgement(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        subscriber = await replica.joins()
        await world.append("a1")
        other = await world.start()

        assert 1 == await acknowledge(other, *subscriber.ids)
        assert 0 == await acknowledge(replica, *subscriber.ids)
        await subscriber.leaves()
        assert "" == (await other.joins()).words

    async def test_ids_that_are_nobodys_are_no_mistake(self, world: FeedWorld, replica: FeedReplica) -> None:
        [known] = await world.append("a1")
        await replica.joins()
        strange = ["hr:1767225600000-000000", "gone:1767225600000-000000", f"{APP}:1-0", known]

        assert 1 == await acknowledge(replica, *strange)

    async def test_a_malformed_id_is_named_by_its_position(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        good = await world.append("a1 a2 a3")
        await replica.joins()
        for bad in (
            "",
            "crm",
            "crm:",
            "crm:1",
            "crm:1-",
            ":1-1",
            "crm:x-1",
            "crm:1-1 ",
            "crm:²-1",
            "crm:-1-1",
        ):
            with pytest.raises(InvalidRequest) as refused:
                await acknowledge(replica, *good, bad)

            assert "event_ids[3]" == refused.value.metadata["field"]
        assert 3 == await acknowledge(replica, *good)


class TestLeaving:
    async def test_it_costs_a_try_of_the_oldest_that_was_at_hand(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        await world.append("a1 a2")
        for _ in range(MAX_TRIES):
            subscriber = await replica.joins()
            assert subscriber.words.startswith("a1")
            await subscriber.leaves()

        assert "a2" == (await replica.joins()).words
        [dead] = await replica.log.dead(APP, GROUP, "", 10)
        assert "a1" == dead.xml

    async def test_who_got_nothing_to_read_costs_nothing(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        await world.append("a1")
        stream = replica.feed.subscribe(GROUP, options_with())
        assert await anext(stream) is None
        await stream.aclose()
        await settle()

        assert [False] == [counts_as_attempt for _, counts_as_attempt in replica.log.releases]
        assert [0] == [delivery.attempts for delivery in (await replica.joins()).got]

    async def test_it_leaves_no_task_behind(self, world: FeedWorld, replica: FeedReplica) -> None:
        await settle()
        before = asyncio.all_tasks()
        for wish in ({}, {"apps": (APP, "hr")}):
            subscriber = await replica.joins(**wish)
            await world.append("a1 b1")
            await subscriber.leaves()
        looker = await replica.observes()
        await world.clock.advance(LOOK_EVERY)
        await looker.leaves()
        await world.clock.advance(LOOK_EVERY)

        assert before == asyncio.all_tasks()
        assert not replica.notifications._bells

    @pytest.mark.parametrize("steps", range(12))
    async def test_it_leaves_nothing_behind_whenever_it_happens(
        self, world: FeedWorld, replica: FeedReplica, steps: int
    ) -> None:
        await world.append("a1 b1")
        before = asyncio.all_tasks()
        subscriber = Subscriber(replica.feed.subscribe(GROUP, options_with()))
        for _ in range(steps):
            await asyncio.sleep(0)
        await subscriber.leaves()

        assert before == asyncio.all_tasks()
        assert "a1 b1" == (await replica.joins()).words

    @pytest.mark.parametrize("stands", [False, True])
    async def test_a_take_that_is_under_way_ends_before_the_release(
        self, world: FeedWorld, replica: FeedReplica, stands: bool
    ) -> None:
        if stands:
            subscriber = await replica.joins()
            replica.log.gate = asyncio.Event()
            await world.append("a1")
        else:
            await world.append("a1")
            replica.log.gate = asyncio.Event()
            subscriber = await replica.joins()
        await subscriber.leaves()
        assert [] == replica.log.releases
        replica.log.gate.set()
        await settle()

        assert "a1" == (await (await world.start()).joins()).words


class TestSlowReaders:
    async def test_it_keeps_what_it_holds_while_it_does_not_read(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        slow = await replica.joins()
        slow.gate.clear()
        await world.append("a1 b1 c1")
        quick = await replica.joins()
        await world.clock.advance(3 * ALIVE_FOR)

        assert "" == quick.words
        await acknowledge(replica, *slow.ids)
        slow.gate.set()
        await settle()
        assert "a1 b1 c1" == slow.words

    async def test_it_fills_no_memory_and_loses_its_events_once(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        slow = await replica.joins(max_in_flight=4)
        slow.gate.clear()
        await world.append("a1 b1 c1 d1 e1 f1")
        for _ in range(50):
            await world.clock.advance(ACK_TIMEOUT)
        quick = await replica.joins()

        assert {0, 1} == {delivery.attempts for delivery in quick.got}
        assert 6 == len(quick.got)
        slow.gate.set()
        await settle()
        assert "a1 b1 c1 d1" == slow.words

    async def test_who_reads_again_is_served_again(self, world: FeedWorld, replica: FeedReplica) -> None:
        slow = await replica.joins(max_in_flight=4)
        slow.gate.clear()
        ids = await world.append("a1 b1 c1 d1 e1 f1")
        await world.clock.advance(2 * LOOK_EVERY)
        await acknowledge(replica, *ids[:4])
        slow.gate.set()
        await settle()

        assert "a1 b1 c1 d1 e1 f1" == slow.words

    async def test_no_more_than_there_is_room_for_is_at_hand(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        subscriber = await replica.joins(max_in_flight=2)
        ids = await world.append("a1 b1 c1 d1")
        assert "a1 b1" == subscriber.words
        await acknowledge(replica, ids[0])
        await world.clock.advance(LOOK_EVERY)

        assert "a1 b1 c1" == subscriber.words


class TestOutages:
    async def test_none_subscribes_without_a_store(self, replica: FeedReplica) -> None:
        replica.store.cut()
        subscriber, looker = await replica.joins(), await replica.observes()

        assert isinstance(subscriber.failure, StoreUnavailable)
        assert isinstance(looker.failure, StoreUnavailable)
        with pytest.raises(StoreUnavailable):
            await acknowledge(replica, f"{APP}:1-1")

    async def test_a_stream_outlives_an_outage(self, world: FeedWorld, replica: FeedReplica) -> None:
        subscriber, looker = await replica.joins(), await replica.observes()
        replica.store.cut()
        await world.append("a1")
        await world.clock.advance(MINUTE)
        replica.store.mend()
        await settle()

        assert ("a1", "a1") == (subscriber.words, looker.words)

    async def test_who_left_meanwhile_keeps_nothing_from_others_once_it_is_over(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        """Found after restarts of Redis: some corps' events waited up to 10 s for a member that was gone."""
        leaving = await replica.joins()
        await world.append("a1")
        replica.store.cut()
        await leaving.leaves()
        await world.clock.advance(2 * SECOND)
        replica.store.mend()
        staying = await replica.joins()
        assert "" == staying.words
        await world.clock.advance(SECOND)

        assert "a1" == staying.words
        assert [2] == [delivery.count for delivery in staying.got]

    async def test_who_left_is_released_for_as_long_as_it_does_not_count_as_gone(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        leaving = await replica.joins()
        replica.store.cut()
        await leaving.leaves()
        await world.clock.advance(3 * ALIVE_FOR)
        replica.store.mend()
        await world.clock.advance(ALIVE_FOR)

        assert [] == replica.log.releases

    async def test_what_was_handed_out_unheard_comes_again(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        subscriber = await replica.joins()
        replica.log.losing_answers = True
        await world.append("a1 b1")
        replica.log.losing_answers = False
        replica.store.mend()
        await settle()

        assert "a1 b1" == subscriber.words
        assert [0, 0] == [delivery.attempts for delivery in subscriber.got]

    async def test_what_was_not_read_before_an_outage_comes_once(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        slow = await replica.joins()
        slow.gate.clear()
        await world.append("a1 b1 c1")
        replica.store.cut()
        await world.clock.advance(LOOK_EVERY)
        replica.store.mend()
        await settle()
        slow.gate.set()
        await settle()

        assert "a1 a1 b1 c1" == slow.words

    async def test_what_may_not_be_seen_hides_nothing_else_in_an_outage(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        await world.append("a1 b1 a2 b2")
        subscriber = await replica.joins(max_in_flight=1, may_see=lambda _app, corp_id: corp_id == "b")
        replica.log.losing_answers = True
        await acknowledge(replica, *subscriber.ids)
        await world.clock.advance(LOOK_EVERY)
        replica.log.losing_answers = False
        replica.store.mend()
        await settle()

        assert "b1 b2" == subscriber.words


class TestClosing:
    async def test_every_stream_ends_and_nothing_is_spent(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        other = await world.start()
        await world.append("a1 b1")
        reader, slow, looker = (
            await replica.joins(max_in_flight=1),
            await replica.joins(),
            await replica.observes(),
        )
        slow.gate.clear()
        replica.feed.close()
        await settle()

        assert (True, True) == (reader.ended, looker.ended)
        subscriber = await other.joins()
        assert "a1 b1" == subscriber.words
        assert [0, 0] == [delivery.attempts for delivery in subscriber.got]

    async def test_what_was_not_read_is_not_handed_out_any_more(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        slow = await replica.joins()
        slow.gate.clear()
        await world.append("a1 b1 c1")
        replica.feed.close()
        slow.gate.set()
        await settle()

        assert ("a1", True) == (slow.words, slow.ended)

    async def test_a_late_subscriber_takes_nothing(self, world: FeedWorld, replica: FeedReplica) -> None:
        await world.append("a1")
        replica.feed.close()
        subscriber, looker = await replica.joins(), await replica.observes()

        assert (True, True) == (subscriber.ended, looker.ended)
        assert [] == replica.log.takes
        assert 1 == len((await (await world.start()).joins()).got)


class TestRights:
    async def test_what_it_may_not_see_is_in_nobodys_way(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        wish: dict[str, Any] = {"max_in_flight": 2, "may_see": lambda _app, corp_id: corp_id == "b"}
        subscriber = await replica.joins(**wish)
        await world.append("a1 a2 a3 b1 a4 a5 b2")

        assert "b1 b2" == subscriber.words
        [lag] = await replica.log.lags(APP)
        assert 2 == lag.open


class TestObserving:
    async def test_it_sees_what_comes_from_now_on_and_takes_it_from_nobody(
        self, world: FeedWorld, replica: FeedReplica
    ) -> None:
        await world.append("a1")
        await world.clock.advance(SECOND)
        looker, subscriber = await replica.observes(apps=(APP, "hr")), await replica.joins()
        await world.append("a2")
        await world.append("a3", app="hr")

        assert "a2 a3" == looker.words
        assert "a1 a2" == subscriber.words
        await looker.leaves()
        assert 1 == len(await replica.log.lags(APP))

    async def test_it_begins_where_it_is_told_to(self, world: FeedWorld, replica: FeedReplica) -> None:
        ids = await world.append("a1 a2 b1 a3")
        looker = await replica.observes(
            replay_from={APP: ids[1].partition(":")[2]}, may_see=lambda _app, corp_id: corp_id == "a"
        )

        assert "a2 a3" == looker.words

    async def test_it_sees_a_long_log_whole(self, world: FeedWorld, replica: FeedReplica) -> None:
        await world.append("a1 " * 450)

        assert 450 == len((await replica.observes(replay_from={APP: position_at(world.clock.now())})).got)


class TestGroups:
    async def test_a_caller_has_no_more_than_so_many(self, world: FeedWorld, replica: FeedReplica) -> None:
        for number in range(MOST_GROUPS):
            await (await replica.joins(f"orders/{number}")).leaves()
        refused = (await replica.joins("orders/one-more")).failure

        assert isinstance(refused, InvalidRequest)
        assert {"field": "group", "app": APP} == refused.metadata
        assert (await replica.joins("orders/7")).stands
        assert (await replica.joins("bills/one-more")).stands

    async def test_a_group_too_many_replays_nothing(self, world: FeedWorld, replica: FeedReplica) -> None:
        for number in range(MOST_GROUPS + 20):
            Subscriber(replica.feed.subscribe(f"orders/{number}", options_with()))
        await settle()
        await replica.joins("orders/one-more", replay_from={APP: position_at(world.clock.now())})

        assert MOST_GROUPS == len(await replica.log.lags(APP))


async def test_many_subscribers_do_not_ask_the_store_all_at_once(
    world: FeedWorld, replica: FeedReplica
) -> None:
    subscribers = [await replica.joins(f"orders/{number % 10}") for number in range(200)]
    await world.append("a1")

    assert 10 == sum(len(subscriber.got) for subscriber in subscribers)
    assert replica.log.most_under_way <= 8  # half of the connections that the broker has to its store
    for subscriber in subscribers:
        await subscriber.leaves()


# --- order, under random interleavings

steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from("abcd"), st.integers(1, 4)),
    st.tuples(st.just("append"), st.sampled_from("abcd"), st.integers(1, 4)),
    st.tuples(st.just("join"), st.integers(0, 2), st.sampled_from([1, 2, 5, 100])),
    st.tuples(st.just("leave"), st.integers(0, 2)),
    st.tuples(st.just("acknowledge"), st.integers(0, 2), st.integers(0, 50), st.integers(0, 1)),
    st.tuples(st.just("acknowledge"), st.integers(0, 2), st.integers(0, 50), st.integers(0, 1)),
    st.tuples(st.just("advance"), st.sampled_from([0.5, 2, 5])),
    st.tuples(st.just("cut"), st.integers(0, 1)),
)


class Order:
    """Three members of one group on two replicas; they hold what they got until they acknowledge or leave."""

    def __init__(self, world: FeedWorld, replicas: list[FeedReplica]) -> None:
        self._world = world
        self._replicas = replicas
        self._members: dict[int, Subscriber] = {}
        self._homes: dict[int, int] = {}
        self._read: Counter[int] = Counter()
        self._corps: defaultdict[str, list[str]] = defaultdict(list)
        self._first: defaultdict[str, list[str]] = defaultdict(list)
        self._holders: dict[str, int] = {}
        self._acknowledged: set[str] = set()
        self._count = 0

    async def do(self, step: tuple[Any, ...]) -> None:
        name, *arguments = step
        await getattr(self, name)(*arguments)
        await settle()
        self._look()

    async def append(self, corp: str, number: int) -> None:
        words = [f"{corp}{self._count + position}" for position in range(number)]
        self._count += number
        self._corps[corp] += await self._world.append(" ".join(words))

    async def join(self, name: int, max_in_flight: int) -> None:
        if name not in self._members:
            self._homes[name] = name % 2
            self._members[name] = await self._replicas[name % 2].joins(
                max_in_flight=max_in_flight, ack_timeout=60 * MINUTE
            )
            self._read[name] = 0

    async def leave(self, name: int) -> None:
        if member := self._members.pop(name, None):
            self._let_go(name)
            await member.leaves()

    async def acknowledge(self, name: int, position: int, replica: int) -> None:
        if member := self._members.get(name):
            held = [found for found in member.ids if self._holders.get(found) == name]
            if held:
                handled = held[position % len(held)]
                # What is acknowledged is held by nobody from here on: others may be quicker than the answer.
                del self._holders[handled]
                self._acknowledged.add(handled)
                await acknowledge(self._replicas[replica], handled)

    async def advance(self, seconds: float) -> None:
        await self._world.clock.advance(timedelta(seconds=seconds))

    async def cut(self, replica: int) -> None:
        """Lose sight of the store for a moment; those who wait there begin anew."""
        self._replicas[replica].store.cut()
        await self._world.clock.advance(LOOK_EVERY)
        for name, home in self._homes.items():
            if home == replica:
                self._let_go(name)
        self._replicas[replica].store.mend()

    def _let_go(self, name: int) -> None:
        self._holders = {found: holder for found, holder in self._holders.items() if holder != name}

    def _look(self) -> None:
        new = [
            (found, name)
            for name, member in self._members.items()
            for found in member.ids[self._read[name] :]
        ]
        for name, member in self._members.items():
            self._read[name] = len(member.got)
        for found, name in new:
            corp = next(corp for corp, ids in self._corps.items() if found in ids)
            assert found not in self._acknowledged
            owners = {holder for held, holder in self._holders.items() if held in self._corps[corp]}
            assert owners <= {name}, "two members hold events of one corp"
            self._holders[found] = name
            if found not in self._first[corp]:
                self._first[corp].append(found)
        for corp, ids in self._corps.items():
            assert ids[: len(self._first[corp])] == self._first[corp], "first deliveries follow the log"

    async def end(self) -> None:
        """See that nothing was lost."""
        for name in list(self._members):
            await self.leave(name)
        await self._world.clock.advance(2 * ALIVE_FOR)
        last = await self._replicas[0].joins(max_in_flight=1000)
        everything = {found for ids in self._corps.values() for found in ids}
        dead = await self._replicas[0].log.dead(APP, GROUP, "", 1000)
        given_up = {f"{APP}:{entry.position}" for entry in dead}
        assert everything == set(last.ids) | self._acknowledged | given_up


@pytest.mark.slow
@given(st.lists(steps, min_size=5, max_size=50))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_corps_events_come_in_order_and_to_one_member_at_a_time(program: list[tuple[Any, ...]]) -> None:
    async def play() -> None:
        async with FeedWorld() as world:
            order = Order(world, [await world.start(), await world.start()])
            for step in program:
                await order.do(step)
            await order.end()

    asyncio.run(play())
