"""`Leases`: one holder for each name in the whole fleet."""

import asyncio
from datetime import timedelta

from broker.domain.ports.store import Busy, Lease, Notice, NoticeKind, Store
from tests.contract.fleets import Fleet
from tests.contract.making import LONG, NAME, SHORT, record, taken
from tests.contract.waiting import Stopwatch, eventually, listening, taken_in_time


async def remaining(store: Store) -> timedelta:
    """Return for how long the lease is held."""
    busy = await store.acquire(NAME, LONG)
    assert isinstance(busy, Busy)
    return busy.remaining


class TestAcquire:
    async def test_a_free_lease_is_taken(self, store: Store) -> None:
        lease = await store.acquire(NAME, LONG)

        assert isinstance(lease, Lease)
        assert (NAME, LONG) == (lease.name, lease.duration)

    async def test_a_held_lease_is_busy_for_what_remains(self, store: Store, other: Store) -> None:
        await taken(store)
        busy = await other.acquire(NAME, LONG / 2)

        assert isinstance(busy, Busy)
        assert LONG - timedelta(seconds=5) < busy.remaining <= LONG

    async def test_one_that_ends_later_than_two_leases_from_now_was_not_taken_by_a_broker(
        self, store: Store, other: Store
    ) -> None:
        forged = await taken(store, duration=timedelta(hours=1))
        lease = await taken(other, duration=timedelta(seconds=5))

        assert lease.fence > forged.fence
        assert not await store.commit(record(forged.fence), forged)
        assert await other.commit(record(lease.fence), lease)

    async def test_its_own_holder_finds_it_busy_too(self, store: Store) -> None:
        await taken(store)

        assert isinstance(await store.acquire(NAME, LONG), Busy)

    async def test_an_attempt_in_vain_does_not_prolong_it(self, store: Store) -> None:
        await taken(store)
        attempts = [await remaining(store) for _ in range(10)]

        assert sorted(attempts, reverse=True) == attempts

    async def test_each_name_has_a_lease_of_its_own(self, store: Store) -> None:
        await taken(store, "a")

        assert isinstance(await store.acquire("b", LONG), Lease)

    async def test_no_two_leases_have_one_owner(self, store: Store, other: Store) -> None:
        leases = [await taken(one, f"{number}") for number in range(5) for one in (store,)]
        leases += [await taken(other, f"other {number}") for number in range(5)]

        assert 10 == len({lease.owner for lease in leases})

    async def test_it_is_free_again_when_its_holder_died(self, store: Store, other: Store) -> None:
        watch = Stopwatch()
        dead = await taken(store, duration=SHORT)
        lease = await taken_in_time(other, NAME, LONG)

        assert watch.seconds >= SHORT.total_seconds() - 0.002
        assert lease.fence > dead.fence
        assert not await store.renew(dead)


class TestFence:
    async def test_it_is_above_every_earlier_one(self, store: Store, other: Store) -> None:
        fences = []
        for number in range(20):
            one = (store, other)[number % 2]
            lease = await taken(one)
            fences.append(lease.fence)
            await one.release(lease)

        assert sorted(set(fences)) == fences

    async def test_it_is_above_one_that_died_without_a_commit(self, store: Store) -> None:
        dead = await taken(store, duration=timedelta(milliseconds=1), floor=9_000_000_000_000)
        lease = await taken_in_time(store, NAME, LONG)

        assert lease.fence > dead.fence

    async def test_it_is_above_the_floor(self, store: Store) -> None:
        floor = 9_000_000_000_000

        assert floor + 1 == (await taken(store, floor=floor)).fence

    async def test_a_low_floor_does_not_hold_it_down(self, store: Store) -> None:
        first = await taken(store)
        await store.release(first)

        assert (await taken(store, floor=1)).fence > first.fence

    async def test_it_is_above_what_was_committed_and_offered(self, store: Store) -> None:
        lease = await taken(store)
        await store.commit(record(lease.fence + 1_000_000_000), lease)
        second = await taken(store)
        await store.release(second)
        await store.offer(record(second.fence + 1_000_000_000))
        third = await taken(store)

        assert lease.fence + 1_000_000_000 < second.fence
        assert second.fence + 1_000_000_000 < third.fence

    async def test_it_never_goes_back_after_the_store_lost_its_data(self, store: Store, fleet: Fleet) -> None:
        first = await taken(store)
        await store.commit(record(first.fence), first)
        await fleet.lose_data()

        assert {} == await store.load([NAME])
        assert (await taken(store)).fence > first.fence

    async def test_a_lease_does_not_survive_a_store_that_lost_its_data(
        self, store: Store, fleet: Fleet
    ) -> None:
        lost = await taken(store)
        await fleet.lose_data()

        assert not await store.renew(lost)
        assert not await store.commit(record(lost.fence), lost)
        assert {} == await store.load([NAME])


class TestRenew:
    async def test_it_holds_the_lease_for_another_duration(self, store: Store) -> None:
        lease = await taken(store, duration=timedelta(seconds=1))
        await asyncio.sleep(0.02)
        before = await remaining(store)

        assert await store.renew(lease)
        assert before < await remaining(store) <= timedelta(seconds=1)

    async def test_a_renewed_lease_outlives_its_first_duration(self, store: Store, other: Store) -> None:
        duration = timedelta(milliseconds=400)
        lease = await taken(store, duration=duration)
        watch = Stopwatch()

        async def renewed_in_vain() -> bool:
            assert await store.renew(lease)
            assert isinstance(await other.acquire(NAME, LONG), Busy)
            return watch.seconds > 1.2 * duration.total_seconds()

        await eventually(renewed_in_vain)

    async def test_a_lost_lease_is_not_renewed(self, store: Store, other: Store) -> None:
        lost = await taken(store, duration=SHORT)
        present = await taken_in_time(other, NAME, LONG)

        assert not await store.renew(lost)
        assert await other.renew(present)

    async def test_a_released_and_a_committed_lease_are_not_renewed(self, store: Store) -> None:
        released = await taken(store)
        await store.release(released)
        committed = await taken(store)
        await store.commit(record(committed.fence), committed)

        assert not await store.renew(released)
        assert not await store.renew(committed)


class TestRelease:
    async def test_it_gives_the_lease_back_and_tells(self, store: Store, other: Store) -> None:
        async with listening(other) as ear:
            lease = await taken(store)
            await store.release(lease)

            assert Notice(NoticeKind.RELEASED, NAME, lease.fence) == await ear.next()
            assert isinstance(await other.acquire(NAME, LONG), Lease)

    async def test_a_lost_lease_is_not_taken_from_its_new_holder(self, store: Store, other: Store) -> None:
        lost = await taken(store, duration=SHORT)
        present = await taken_in_time(other, NAME, LONG)

        async with listening(other) as ear:
            await store.release(lost)
            assert isinstance(await store.acquire(NAME, LONG), Busy)
            await other.release(present)
            assert Notice(NoticeKind.RELEASED, NAME, present.fence) == await ear.next()

    async def test_a_second_release_does_nothing(self, store: Store) -> None:
        lease = await taken(store)

        async with listening(store) as ear:
            await store.release(lease)
            await store.release(lease)
            await store.offer(record(1))
            told = [(await ear.next()).kind for _ in range(2)]
            assert [NoticeKind.RELEASED, NoticeKind.COMMITTED] == told
