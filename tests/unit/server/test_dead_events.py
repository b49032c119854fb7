"""`ListDeadEvents`: every dead event comes on a page that a client takes, however large the events are."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import event_service_pb2 as pb

from broker.domain.access import Action, Caller, Rule
from broker.domain.apps import App, AppKind
from broker.domain.caller_policy import CallerPolicy
from broker.domain.events.event import app_and_position
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.server.grpc.entry.rights import Rights
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.messages import LARGEST_LIST
from broker.server.grpc.services.events import EventServicer
from tests.kit.memory.feed_world import APP, GROUP, FeedReplica, FeedWorld
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import bearer

CALLER, _, NAME = GROUP.partition("/")
CATALOG = Catalog({APP: App(APP, AppKind.SELF_BUILT, "ww1", 7, Secret("secret"))})
QUARTER = "x" * (LARGEST_LIST // 4)


class Desk:
    """`EventService` behind the guard, for a caller with a right to the events of corp `a`."""

    def __init__(self, world: FeedWorld, replica: FeedReplica) -> None:
        rule = Rule((APP,), ("a",), frozenset({Action.EVENT_SUBSCRIBE}))
        digest = hashlib.sha256(CALLER.encode()).hexdigest()
        policy = CallerPolicy([Caller(CALLER, token_sha256=digest, rules=(rule,))])
        self._world = world
        self._replica = replica
        self._guard = guard_of(policy)
        rights = Rights(policy, Subjects())
        self._servicer = EventServicer(replica.feed, CATALOG, rights, {APP}, timedelta(minutes=1))

    async def has_dead(self, words: str) -> list[str]:
        """Have the group give up an event for each word; return their ids."""
        ids = await self._world.append(words)
        subscriber = await self._replica.joins()
        await self._replica.log.give_up(APP, GROUP, [app_and_position("", given)[1] for given in ids])
        await subscriber.leaves()
        return ids

    async def pages(self, size: int = 0) -> list[pb.ListDeadEventsResponse]:
        """Return all pages of the dead."""
        handler = grpc.unary_unary_rpc_method_handler(self._servicer.ListDeadEvents)
        guarded: Any = self._guard.guard("/wecom_broker.v1.EventService/ListDeadEvents", handler)
        pages: list[pb.ListDeadEventsResponse] = []
        while not pages or pages[-1].next_page_token:
            token = pages[-1].next_page_token if pages else ""
            request = pb.ListDeadEventsRequest(group=NAME, app=APP, page_size=size, page_token=token)
            pages.append(await guarded.unary_unary(request, bearer(CALLER)))
        return pages


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with FeedWorld() as world:
        yield Desk(world, await world.start())


def shown(pages: list[pb.ListDeadEventsResponse]) -> list[list[str]]:
    return [[event.event_id for event in page.events] for page in pages]


async def test_a_page_ends_before_it_grows_larger_than_a_message_may_be(desk: Desk) -> None:
    ids = await desk.has_dead(" ".join(f"a{number}{QUARTER}" for number in range(8)))
    pages = await desk.pages(size=1000)

    assert [ids[:3], ids[3:6], ids[6:]] == shown(pages)
    assert max(page.ByteSize() for page in pages) <= 1.1 * LARGEST_LIST


async def test_an_event_that_is_larger_than_a_page_has_one_of_its_own(desk: Desk) -> None:
    ids = await desk.has_dead(f"a1{5 * QUARTER} a2 a3")

    assert [ids[:1], ids[1:]] == shown(await desk.pages())


async def test_events_of_other_corps_leave_no_gap(desk: Desk) -> None:
    ids = await desk.has_dead(f"b1 a1{QUARTER} a2{QUARTER} b2 a3{QUARTER} b3 a4{QUARTER} b4 b5 b6 b7")
    own = [ids[1], ids[2], ids[4], ids[6]]

    assert [own[:3], own[3:]] == shown(await desk.pages())
    assert own == [event_id for page in shown(await desk.pages(size=2)) for event_id in page]
