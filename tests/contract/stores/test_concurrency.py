"""Many at once: what the port promises holds under every interleaving."""

import asyncio

from broker.domain.ports.store import Busy, Lease, NoticeKind, Store
from tests.contract.fleets import Fleet
from tests.contract.making import LONG, NAME, held, record, taken
from tests.contract.waiting import heard_until_now, listening, taken_in_time


async def test_of_many_acquirers_exactly_one_gets_the_lease(fleet: Fleet) -> None:
    stores = [await fleet.connect() for _ in range(4)]
    results = await asyncio.gather(*[store.acquire(NAME, LONG) for _ in range(25) for store in stores])

    assert 1 == sum(isinstance(result, Lease) for result in results)
    assert 99 == sum(isinstance(result, Busy) for result in results)


async def test_holders_follow_one_another_and_each_commit_is_newer(fleet: Fleet) -> None:
    """Twelve brokers fetch in turn: no two at once, no commit lost, none goes back."""
    inside: list[int] = []
    committed: list[int] = []

    async def fetch(store: Store, number: int) -> None:
        lease = await taken_in_time(store, NAME, LONG)
        inside.append(number)
        assert [number] == inside
        await asyncio.sleep(0)
        inside.remove(number)
        committed.append(lease.fence)
        assert await store.commit(record(lease.fence, b"%d" % number), lease)

    stores = [await fleet.connect() for _ in range(3)]
    await asyncio.gather(*[fetch(stores[number % 3], number) for number in range(12)])

    assert 12 == len(committed)
    assert sorted(set(committed)) == committed
    assert committed[-1] == (await held(stores[0]) or (0, b""))[0]


async def test_of_concurrent_offers_the_newest_remains(store: Store, other: Store) -> None:
    fences = [(number * 37) % 101 for number in range(1, 101)]

    async with listening(store) as ear:
        written = await asyncio.gather(
            *[(store, other)[fence % 2].offer(record(fence, b"%d" % fence)) for fence in fences]
        )
        heard = [await ear.next() for accepted in written if accepted]

    assert (100, b"100") == await held(store)
    assert [notice.fence for notice in heard] == sorted({notice.fence for notice in heard})
    accepted_fences = {fence for fence, accepted in zip(fences, written, strict=True) if accepted}
    assert accepted_fences == {notice.fence for notice in heard}


async def test_of_commits_under_one_lease_exactly_one_succeeds(store: Store, other: Store) -> None:
    lease = await taken(store)
    results = await asyncio.gather(
        *[one.commit(record(lease.fence + number), lease) for number in range(20) for one in (store, other)]
    )

    assert 1 == results.count(True)


async def test_a_commit_and_a_forget_at_once_leave_the_newer(store: Store, other: Store) -> None:
    for _ in range(10):
        lease = await taken(store)
        done, _none = await asyncio.gather(
            store.commit(record(lease.fence), lease), other.forget(NAME, lease.fence - 1)
        )

        assert done
        assert (lease.fence, b"payload") == await held(store)


async def test_a_cancelled_command_leaves_no_answer_for_the_next(store: Store) -> None:
    await store.offer(record(1, b"mine", "mine"))
    await store.offer(record(2, b"yours", "yours"))
    for turn in range(40):
        tasks = [asyncio.create_task(store.load(["yours"])) for _ in range(5)]
        for _ in range(turn % 8):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert (1, b"mine") == await held(store, "mine")
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_release_is_told_once(store: Store, other: Store) -> None:
    async with listening(other) as ear:
        leases = [await taken(store, f"{number}") for number in range(10)]
        await asyncio.gather(*[store.release(lease) for lease in leases for _ in range(3)])
        heard = await heard_until_now(ear, store)

    assert sorted(lease.name for lease in leases) == sorted(notice.name for notice in heard)
    assert {NoticeKind.RELEASED} == {notice.kind for notice in heard}
