"""A subscription that is cut in the middle of a claim: its events are still there for its group."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import event_service_pb2 as pb

from broker.domain.access import Action, Caller, Rule
from broker.domain.apps import App, AppKind
from broker.domain.caller_policy import CallerPolicy
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.server.grpc.entry.rights import Rights
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.services.events import EventServicer
from broker.usecases.events.subscription import LOOK_EVERY
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.feed_world import APP, GROUP, FeedWorld
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import Context, bearer, error_info

NAME, _, WORK = GROUP.partition("/")
CATALOG = Catalog({APP: App(APP, AppKind.SELF_BUILT, "ww1", 7, Secret("secret"))})
REVOKED = Caller(NAME, token_sha256=hashlib.sha256(NAME.encode()).hexdigest())
ALLOWED = Caller(
    NAME,
    token_sha256=REVOKED.token_sha256,
    rules=(Rule(("*",), ("*",), frozenset({Action.EVENT_SUBSCRIBE})),),
)


class Opened(Context):
    """A context that takes initial metadata."""

    async def send_initial_metadata(self, _metadata: object) -> None:
        self.wrote.set()


@pytest.mark.parametrize("apps", [(), (APP,)], ids=["all apps", "a named app"])
async def test_what_is_claimed_as_a_stream_is_cut_waits_for_the_group(apps: tuple[str, ...]) -> None:
    policy, context = CallerPolicy([ALLOWED]), Opened(bearer(NAME).metadata)
    async with FeedWorld() as world:
        replica = await world.start()
        policy.on_change(replica.feed.follow)
        servicer = EventServicer(
            replica.feed, CATALOG, Rights(policy, Subjects()), (APP,), timedelta(minutes=1)
        )
        handler = grpc.unary_stream_rpc_method_handler(servicer.SubscribeEvents)
        guarded: Any = guard_of(policy).guard("/wecom_broker.v1.EventService/SubscribeEvents", handler)
        request = pb.SubscribeEventsRequest(group=WORK, apps=apps)
        stream = asyncio.ensure_future(guarded.unary_stream(request, context))
        await context.wrote.wait()

        gate = replica.log.gate = asyncio.Event()
        await world.append("a1 b1")
        await world.clock.advance(LOOK_EVERY)
        policy.replace([REVOKED])
        await settle()
        gate.set()
        with pytest.raises(grpc.aio.AbortError):
            await stream
        await settle()

        assert ([], "CALLER_NOT_ALLOWED") == (context.written, error_info(context.rich).reason)
        assert "a1 b1" == (await replica.joins()).words
