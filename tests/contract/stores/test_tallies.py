"""`Counters`: counters of the whole fleet that start again with each window."""

import asyncio
from datetime import timedelta

from broker.domain.ports.store import Store
from tests.contract.making import LONG, SHORT
from tests.contract.waiting import Stopwatch, eventually

MINUTE = timedelta(minutes=1)


async def test_it_counts_from_one(store: Store) -> None:
    assert [1, 2, 3] == [await store.count("calls", MINUTE) for _ in range(3)]


async def test_the_whole_fleet_counts_together(store: Store, other: Store) -> None:
    await store.count("calls", MINUTE)

    assert 2 == await other.count("calls", MINUTE)


async def test_each_name_is_counted_on_its_own(store: Store) -> None:
    await store.count("a", MINUTE)

    assert 1 == await store.count("b", MINUTE)


async def test_no_count_is_lost_or_given_twice(store: Store, other: Store) -> None:
    numbers = await asyncio.gather(*[one.count("calls", LONG) for _ in range(50) for one in (store, other)])

    assert list(range(1, 101)) == sorted(numbers)


async def test_the_first_one_opens_the_window_and_later_ones_do_not_prolong_it(store: Store) -> None:
    watch = Stopwatch()
    await store.count("calls", SHORT)
    await eventually(lambda: store.count("calls", LONG), lambda number: number == 1)

    assert watch.seconds >= SHORT.total_seconds() - 0.002
    assert 2 == await store.count("calls", SHORT)


async def test_counts_tells_how_many_there_are_and_adds_none(store: Store, other: Store) -> None:
    await store.count("a", MINUTE)
    await store.count("a", MINUTE)
    await store.count("b", MINUTE)

    assert {"a": 2, "b": 1, "c": 0} == await other.counts(["a", "b", "c"])
    assert {"a": 2, "b": 1, "c": 0} == await store.counts(["a", "b", "c"])


async def test_there_are_none_after_the_window(store: Store) -> None:
    await store.count("calls", SHORT)

    await eventually(lambda: store.counts(["calls"]), lambda counts: counts == {"calls": 0})


async def test_no_names_give_no_counts(store: Store) -> None:
    assert {} == await store.counts([])


async def test_a_tally_is_no_record_and_no_lease(store: Store) -> None:
    await store.count("a", MINUTE)

    assert {} == await store.load(["a"])
    assert {"a": 1} == await store.counts(["a"])
