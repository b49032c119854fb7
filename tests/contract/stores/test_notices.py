"""`Store.notices` and `Store.ping`: what everybody hears."""

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from broker.domain.ports.store import Notice, NoticeKind, Store
from tests.contract.making import NAME, record, taken
from tests.contract.waiting import listening

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def test_a_store_that_is_there_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_connected_comes_first(store: Store) -> None:
    async with aclosing(cast("AsyncGenerator[Notice]", store.notices())) as notices:
        assert Notice(NoticeKind.CONNECTED) == await anext(notices)


async def test_what_happens_after_connected_is_heard_by_every_connection(store: Store, other: Store) -> None:
    async with listening(store) as one, listening(other) as two:
        first = await taken(store)
        await store.commit(record(first.fence), first)
        second = await taken(other)
        await other.release(second)
        await store.forget(NAME, second.fence)
        await other.offer(record(second.fence + 1))

        expected = [
            Notice(NoticeKind.COMMITTED, NAME, first.fence),
            Notice(NoticeKind.RELEASED, NAME, second.fence),
            Notice(NoticeKind.FORGOTTEN, NAME, second.fence),
            Notice(NoticeKind.COMMITTED, NAME, second.fence + 1),
        ]
        assert expected == [await one.next() for _ in range(4)]
        assert expected == [await two.next() for _ in range(4)]


async def test_nothing_is_missed_between_connected_and_the_first_notice(store: Store, other: Store) -> None:
    """Whoever looks at everything after CONNECTED, and then follows the notices, misses nothing."""
    for fence in range(1, 30):
        async with listening(store) as ear:
            await other.offer(record(fence))
            assert Notice(NoticeKind.COMMITTED, NAME, fence) == await ear.next()


async def test_a_record_is_there_when_its_notice_is_heard(store: Store, other: Store) -> None:
    async with listening(other) as ear:
        for fence in range(1, 30):
            await store.offer(record(fence))
            notice = await ear.next()
            assert notice.fence <= (await other.load([NAME]))[NAME].fence


async def test_who_stops_listening_disturbs_nobody(store: Store, other: Store) -> None:
    async with listening(store) as ear:
        async with listening(other):
            pass
        await other.offer(record(1))

        assert Notice(NoticeKind.COMMITTED, NAME, 1) == await ear.next()
