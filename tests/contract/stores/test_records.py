"""`Records`: named values that all replicas share; a newer fencing number wins."""

import asyncio

import pytest

from broker.domain.ports.store import Busy, Lease, Notice, NoticeKind, Store
from tests.contract.making import LONG, NAME, SHORT, held, record, taken
from tests.contract.waiting import listening, taken_in_time


class TestLoad:
    async def test_what_was_never_written_does_not_exist(self, store: Store) -> None:
        assert {} == await store.load([NAME])

    async def test_no_names_give_no_records(self, store: Store) -> None:
        assert {} == await store.load([])

    async def test_those_that_exist_are_returned(self, store: Store) -> None:
        await store.offer(record(1, name="a"))
        await store.offer(record(2, name="c"))

        found = await store.load(["a", "b", "c"])

        assert {"a": 1, "c": 2} == {name: found[name].fence for name in found}
        assert ["a", "c"] == sorted(found[name].name for name in found)

    async def test_a_lease_alone_is_no_record(self, store: Store) -> None:
        await taken(store)

        assert {} == await store.load([NAME])

    @pytest.mark.parametrize(
        "payload", [bytes(range(256)), b"\r\n\x00", b"x" * 200_000], ids=["every byte", "separators", "long"]
    )
    async def test_a_payload_is_any_bytes(self, store: Store, payload: bytes) -> None:
        await store.offer(record(1, payload))

        assert (1, payload) == await held(store)

    @pytest.mark.parametrize("name", ["with space", "{brace}:x", "企业微信:crm", "%s*?[a]", "a'b\"c"])
    async def test_a_name_is_any_text(self, store: Store, name: str) -> None:
        async with listening(store) as ear:
            lease = await taken(store, name)
            await store.commit(record(lease.fence, name=name), lease)

            assert (lease.fence, b"payload") == await held(store, name)
            assert Notice(NoticeKind.COMMITTED, name, lease.fence) == await ear.next()

    async def test_others_see_what_one_wrote(self, store: Store, other: Store) -> None:
        await store.offer(record(7))

        assert (7, b"payload") == await held(other)


class TestCommit:
    async def test_it_writes_and_releases_and_tells(self, store: Store, other: Store) -> None:
        async with listening(other) as ear:
            lease = await taken(store)

            assert await store.commit(record(lease.fence), lease)
            assert (lease.fence, b"payload") == await held(store)
            assert Notice(NoticeKind.COMMITTED, NAME, lease.fence) == await ear.next()
            assert isinstance(await store.acquire(NAME, LONG), Lease)

    async def test_a_commit_under_a_released_lease_changes_nothing(self, store: Store) -> None:
        lease = await taken(store)
        await store.release(lease)

        assert not await store.commit(record(lease.fence), lease)
        assert await held(store) is None

    async def test_a_commit_under_an_expired_lease_changes_nothing(self, store: Store) -> None:
        lease = await taken(store, duration=SHORT)
        await asyncio.sleep(1.2 * SHORT.total_seconds())

        assert not await store.commit(record(lease.fence), lease)
        assert await held(store) is None

    async def test_a_commit_under_a_lost_lease_changes_nothing(self, store: Store, other: Store) -> None:
        lost = await taken(store, duration=SHORT)
        present = await taken_in_time(other, NAME, LONG)

        async with listening(other) as ear:
            assert not await store.commit(record(lost.fence, b"late"), lost)
            assert await held(store) is None
            assert isinstance(await store.acquire(NAME, LONG), Busy)
            assert await other.commit(record(present.fence, b"right"), present)
            assert Notice(NoticeKind.COMMITTED, NAME, present.fence) == await ear.next()

    async def test_a_commit_without_a_lease_changes_nothing(self, store: Store) -> None:
        assert not await store.commit(record(5), Lease(NAME, "nobody", 5, LONG))
        assert not await store.commit(record(5), Lease(NAME, "", 5, LONG))
        assert await held(store) is None

    @pytest.mark.parametrize("older", [0, 1])
    async def test_a_commit_that_is_not_newer_changes_nothing(self, store: Store, older: int) -> None:
        lease = await taken(store)
        newer = record(lease.fence + older, b"newer")
        await store.offer(newer)

        async with listening(store) as ear:
            assert not await store.commit(record(lease.fence, b"older"), lease)
            assert (newer.fence, b"newer") == await held(store)
            assert isinstance(await store.acquire(NAME, LONG), Busy), "the lease is still held"
            await store.release(lease)
            assert Notice(NoticeKind.RELEASED, NAME, lease.fence) == await ear.next()

    async def test_a_second_commit_under_one_lease_changes_nothing(self, store: Store) -> None:
        lease = await taken(store)
        await store.commit(record(lease.fence, b"first"), lease)

        assert not await store.commit(record(lease.fence + 1, b"second"), lease)
        assert (lease.fence, b"first") == await held(store)

    async def test_a_lease_of_another_name_is_untouched(self, store: Store) -> None:
        lease = await taken(store)
        await taken(store, "another")
        await store.commit(record(lease.fence), lease)

        assert isinstance(await store.acquire("another", LONG), Busy)


class TestOffer:
    async def test_it_writes_and_tells(self, store: Store, other: Store) -> None:
        async with listening(other) as ear:
            assert await store.offer(record(3))
            assert (3, b"payload") == await held(other)
            assert Notice(NoticeKind.COMMITTED, NAME, 3) == await ear.next()

    async def test_something_newer_wins(self, store: Store) -> None:
        await store.offer(record(3, b"old"))

        assert await store.offer(record(4, b"new"))
        assert (4, b"new") == await held(store)

    @pytest.mark.parametrize("fence", [3, 2])
    async def test_the_same_and_something_older_are_refused_in_silence(
        self, store: Store, fence: int
    ) -> None:
        await store.offer(record(3, b"held"))

        async with listening(store) as ear:
            assert not await store.offer(record(fence, b"offered"))
            assert (3, b"held") == await held(store)
            await store.offer(record(9))
            assert Notice(NoticeKind.COMMITTED, NAME, 9) == await ear.next()

    async def test_the_lease_stays_with_its_holder(self, store: Store) -> None:
        lease = await taken(store)
        await store.offer(record(3))

        assert await store.renew(lease)

    async def test_digits_do_not_confuse_it(self, store: Store) -> None:
        await store.offer(record(9))

        assert await store.offer(record(10))
        assert not await store.offer(record(9))


class TestReplace:
    async def test_it_changes_the_payload_and_nothing_else(self, store: Store) -> None:
        await store.offer(record(3, b"before"))

        assert await store.replace(record(3, b"after"))
        assert (3, b"after") == await held(store)

    @pytest.mark.parametrize("fence", [2, 4])
    async def test_another_fence_is_refused(self, store: Store, fence: int) -> None:
        await store.offer(record(3, b"before"))

        assert not await store.replace(record(fence, b"after"))
        assert (3, b"before") == await held(store)

    async def test_what_is_missing_is_not_made(self, store: Store) -> None:
        assert not await store.replace(record(3))
        assert await held(store) is None

    async def test_what_was_forgotten_does_not_come_back(self, store: Store) -> None:
        """A record is re-sealed after it was read: meanwhile somebody may have forgotten it."""
        await store.offer(record(3))
        await store.forget(NAME, 3)

        assert not await store.replace(record(3))
        assert (3, b"") == await held(store)

    async def test_nobody_is_told(self, store: Store) -> None:
        await store.offer(record(3))

        async with listening(store) as ear:
            await store.replace(record(3, b"after"))
            await store.offer(record(4))
            assert Notice(NoticeKind.COMMITTED, NAME, 4) == await ear.next()


class TestForget:
    @pytest.mark.parametrize("fence", [3, 4])
    async def test_it_leaves_a_tombstone_and_tells(self, store: Store, other: Store, fence: int) -> None:
        await store.offer(record(3))

        async with listening(other) as ear:
            await store.forget(NAME, fence)
            assert (fence, b"") == await held(store)
            assert (await store.load([NAME]))[NAME].is_tombstone
            assert Notice(NoticeKind.FORGOTTEN, NAME, fence) == await ear.next()

    async def test_something_newer_stays_in_silence(self, store: Store) -> None:
        await store.offer(record(3))

        async with listening(store) as ear:
            await store.forget(NAME, 2)
            assert (3, b"payload") == await held(store)
            await store.forget(NAME, 5)
            assert Notice(NoticeKind.FORGOTTEN, NAME, 5) == await ear.next()

    async def test_what_never_was_gets_a_tombstone_too(self, store: Store) -> None:
        await store.forget(NAME, 3)

        assert (3, b"") == await held(store)

    async def test_an_older_copy_does_not_bring_it_back(self, store: Store) -> None:
        await store.forget(NAME, 3)

        assert not await store.offer(record(3))
        assert not await store.offer(record(2))
        assert (3, b"") == await held(store)

    async def test_a_new_lease_commits_over_a_tombstone(self, store: Store) -> None:
        await store.offer(record(3))
        await store.forget(NAME, 3)
        lease = await taken(store)

        assert await store.commit(record(lease.fence), lease)
        assert (lease.fence, b"payload") == await held(store)

    async def test_a_tombstone_from_the_future_does_not_refuse_the_next_lease(self, store: Store) -> None:
        far = 9_000_000_000_000
        await store.forget(NAME, far)
        lease = await taken(store)

        assert lease.fence > far
        assert await store.commit(record(lease.fence), lease)

    async def test_the_lease_stays_with_its_holder(self, store: Store) -> None:
        lease = await taken(store)
        await store.forget(NAME, 3)

        assert await store.renew(lease)
        assert await store.commit(record(lease.fence), lease)
