"""Issue 4: what WeCom's share events do to a fleet."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count, pairwise

import grpc.aio
import pytest
from wecom_broker.v1 import app_share_service_pb2 as share_pb

from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT
from tests.integration.conftest import Figures
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.machine import busy
from tests.kit.processes.fleet import APP, LIST, Fleet, Replica, child, refused, running_fleet, until
from tests.kit.time_bounds import TooSlow, check_took

WITHIN_SECONDS = 1.0
BURST = 30
PAUSE = 0.05
"""Between two events: less than what ends a burst for a replica, however late it hears of them."""
_numbers = count()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def _fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    callback = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
    with running_fleet(
        tmp_path_factory.mktemp("share-events"), 3, children=20, patient=True, app={"callback": callback}
    ) as fleet:
        yield fleet


@pytest.fixture
def fleet(_fleet: Fleet) -> Fleet:
    _fleet.wecom.forget_calls()
    return _fleet


@asynccontextmanager
async def calling_back(fleet: Fleet) -> AsyncIterator[CallbackSender]:
    """Send callbacks to the first replica."""
    url = f"http://127.0.0.1:{fleet.brokers[0].http_port}/callback/{APP}"
    async with CallbackSender.open(url) as sender:
        yield sender


def share(fleet: Fleet, method: str, number: int) -> None:
    """Share the app with a child, or take it back; WeCom's event is the test's to send."""
    fleet.wecom.control(
        method,
        "shares",
        parent_corpid=PARENT.corpid,
        parent_agentid=PARENT.agentid,
        corpid=child(number),
        agentid=2000000 + number,
    )


async def tell(sender: CallbackSender) -> float:
    """Send the event that says no more than that something changed (wecom-api C4); return when it got in."""
    # Two of the same second would be one delivery and its repeat.
    created = int(time.time()) - 1000 * next(_numbers)
    message = (
        f"<xml><ToUserName><![CDATA[{PARENT.corpid}]]></ToUserName>"
        "<FromUserName><![CDATA[sys]]></FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[share_agent_change]]></Event><AgentID>{PARENT.agentid}</AgentID></xml>"
    )
    assert (200, "success") == (await sender.post(message.encode()))[:2]
    return time.monotonic()


async def agents(replica: Replica) -> dict[str, int]:
    """Return the agent ids of the children, as a replica lists them."""
    return {found.corp_id: found.agent_id for found in await replica.all_shares()}


async def test_a_removed_childs_token_is_refused_on_all_replicas_within_a_second(
    fleet: Fleet, figures: Figures
) -> None:
    async with fleet.replicas() as replicas, calling_back(fleet) as sender:
        leaving, staying = child(1), child(2)
        agent_id = (await agents(replicas[0]))[leaving]
        for replica in replicas:
            await asyncio.gather(replica.token(leaving), replica.token(staying))
        fleet.wecom.forget_calls()
        fleet.wecom.control(
            "DELETE",
            "shares",
            parent_corpid=PARENT.corpid,
            parent_agentid=PARENT.agentid,
            corpid=leaving,
            agentid=agent_id,
        )
        began = time.monotonic()
        await tell(sender)

        async def is_refused(replica: Replica) -> bool:
            try:
                await replica.token(leaving)
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.NOT_FOUND
            return False

        took = max(await asyncio.gather(*(until(lambda r=replica: is_refused(r)) for replica in replicas)))
        found = [await refused(replica.token(leaving)) for replica in replicas]
        still = [(await replica.token(staying)).value for replica in replicas]

    check_took(took, WITHIN_SECONDS)
    assert {"APP_NOT_SHARED"} == {refusal.reason for refusal in found}
    assert 1 == len(set(still))
    figures(refused_after_s=took, since_s=time.monotonic() - began)


async def test_a_child_that_appears_is_usable_and_watchers_hear_of_it(fleet: Fleet, figures: Figures) -> None:
    async with fleet.replicas() as replicas, calling_back(fleet) as sender:
        streams = [
            replica.shares.WatchAppShares(share_pb.WatchAppSharesRequest(app=APP), timeout=60)
            for replica in replicas
        ]
        for stream in streams:
            snapshot = await stream.read()
            assert (share_pb.SHARE_CHANGE_TYPE_SNAPSHOT, True) == (
                snapshot.change_type,
                snapshot.snapshot_complete,
            )
        share(fleet, "POST", 500)
        began = time.monotonic()
        await tell(sender)
        changes = [await stream.read() for stream in streams]
        took = time.monotonic() - began
        tokens = {(await replica.token(child(500))).value for replica in replicas}
        share(fleet, "DELETE", 500)
        await tell(sender)
        ends = [await stream.read() for stream in streams]

    for change, kind in [(change, share_pb.SHARE_CHANGE_TYPE_ADDED) for change in changes] + [
        (end, share_pb.SHARE_CHANGE_TYPE_REMOVED) for end in ends
    ]:
        assert kind == change.change_type
        assert [child(500)] == [found.corp_id for found in change.shares]
    assert 1 == len(tokens)
    figures(told_after_s=took)


async def test_a_burst_of_events_is_one_listing_for_the_fleet(fleet: Fleet, figures: Figures) -> None:
    async with fleet.replicas() as replicas, calling_back(fleet) as sender:
        for replica in replicas:
            await replica.all_shares()
        fleet.wecom.forget_calls()
        share(fleet, "POST", 600)

        async def all_know() -> bool:
            return all([child(600) in await agents(replica) for replica in replicas])

        async with busy() as machine:
            taken = sorted(await asyncio.gather(*(tell(sender) for _ in range(BURST))))
            took = await until(all_know)
            # A listing too many would begin before this long after the first.
            await asyncio.sleep(1.0)
        listings = fleet.wecom.calls()[LIST]

    # On a busy machine it may have been several bursts.
    pauses = sum(later - earlier > PAUSE for earlier, later in pairwise(taken))
    most = 1 + pauses + int(machine.seconds / PAUSE)
    if listings == most + 1 < len(replicas):
        raise TooSlow(f"{listings} listings: maybe the machine held up one replica alone")
    assert 1 <= listings <= most
    figures(events=BURST, listings=listings, known_after_s=took)


async def test_the_event_is_heeded_when_its_replica_dies_at_once(fleet: Fleet) -> None:
    async with fleet.replicas() as replicas, calling_back(fleet) as sender:
        for replica in replicas:
            await replica.all_shares()
        share(fleet, "POST", 700)
        await tell(sender)
        fleet.brokers[0].kill()
        try:

            async def others_know() -> bool:
                return all([child(700) in await agents(replica) for replica in replicas[1:]])

            await until(others_know, within=10)
        finally:
            fleet.mend()
