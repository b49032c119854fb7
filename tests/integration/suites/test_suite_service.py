"""`SuiteService` of a running broker: corps install a provider's suite, share it, and cancel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from wecom_broker import Authorization, AuthorizationChange, AuthorizationState, Broker, ShareKind
from wecom_broker.errors import (
    BrokerUnreachable,
    CodeRejected,
    CorpNotAuthorized,
    InvalidRequest,
    UnknownApp,
)
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import suite_service_pb2 as suite_pb
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub
from wecom_broker.v1.suite_service_pb2_grpc import SuiteServiceStub

from broker.cli.demo.playground import SUITE, TEMPLATE, Playground, playground
from broker.simulator import provider_demo as demo

BACK = "https://market.test/installed"
PATIENCE_SECONDS = 30.0


@pytest.fixture
async def running() -> AsyncIterator[Playground]:
    async with playground() as running:
        await running.world.callbacks.outbox.settled()
        yield running


@pytest.fixture
async def broker(running: Playground) -> AsyncIterator[Broker]:
    async with Broker(running.address) as broker:
        yield broker


async def listed(broker: Broker, suite: str = SUITE) -> list[Authorization]:
    return [authorization async for authorization in broker.authorizations(suite)]


async def until_read(broker: Broker, corp: str, suite: str = SUITE) -> Authorization:
    """Return the authorisation once the broker has read what the corp allows."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for change in broker.watch_authorizations(suite):
            for authorization in change.authorizations:
                if authorization.corp_id == corp and authorization.agents:
                    return authorization
    raise AssertionError("a watch does not end")


async def installed(running: Playground, broker: Broker) -> Authorization:
    """Install the suite in the parent by a link, and return what is known of it then."""
    link = await broker.install_url(SUITE, BACK)
    came_back = running.world.console.install_by_link(link.url, demo.PARENT)
    found = await broker.complete_installation(SUITE, came_back.auth_code, state=link.state)
    return await until_read(broker, found.corp_id)


async def test_a_corp_that_installs_by_a_link_is_an_authorisation_at_once(
    running: Playground, broker: Broker
) -> None:
    link = await broker.install_url(SUITE, BACK, state="st1")
    came_back = running.world.console.install_by_link(link.url, demo.PARENT, demo.INSTALLER)
    found = await broker.complete_installation(SUITE, came_back.auth_code, state=link.state)

    corp = running.world.suites.corpid(SUITE, demo.PARENT)
    assert (SUITE, corp, AuthorizationState.ACTIVE, "st1") == (
        found.app,
        found.corp_id,
        found.state,
        found.install_state,
    )
    assert [corp] == [each.corp_id for each in await listed(broker)]
    assert 1 == running.world.log.times_sent(came_back.auth_code)


async def test_what_the_corp_allows_is_read_after_it_installed(running: Playground, broker: Broker) -> None:
    found = await installed(running, broker)
    (agent,) = found.agents

    assert running.world.console.app(SUITE, demo.PARENT).agentid == agent.agent_id
    assert agent.permissions
    assert agent.shared_from is None
    assert found == await broker.authorization(SUITE, found.corp_id)


async def test_a_code_is_sent_once_however_often_it_is_given(running: Playground, broker: Broker) -> None:
    link = await broker.install_url(SUITE, BACK)
    code = running.world.console.install_by_link(link.url, demo.PARENT).auth_code
    answers = await asyncio.gather(*(broker.complete_installation(SUITE, code) for _ in range(5)))

    assert 1 == len({answer.installation_id for answer in answers})
    assert 1 == running.world.log.times_sent(code)


async def test_a_code_that_wecom_refuses_is_a_lost_row_that_says_what_to_do(broker: Broker) -> None:
    with pytest.raises(CodeRejected):
        await broker.complete_installation(SUITE, "c0de" * 20)
    (lost,) = await listed(broker)

    assert ("", AuthorizationState.LOST) == (lost.corp_id, lost.state)
    assert lost.problem


async def test_children_by_share_name_their_parent_and_one_may_cancel(
    running: Playground, broker: Broker
) -> None:
    parent = await installed(running, broker)
    running.world.console.install_by_share(SUITE, demo.PARENT, demo.children(2))
    corps = [running.world.suites.corpid(SUITE, child) for child in demo.children(2)]
    children = [await until_read(broker, corp) for corp in corps]

    for child in children:
        shared_from = child.agents[0].shared_from
        assert shared_from
        assert (parent.corp_id, ShareKind.CORP_GROUP) == (shared_from.corp_id, shared_from.share_kind)
    assert corps[0] == (await broker.access_token(SUITE, corp=corps[0])).corp_id

    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.watch_authorizations(SUITE)) as changes:
        await snapshot(changes)
        running.world.console.cancel(SUITE, demo.child(1))
        assert AuthorizationState.CANCELLED is (await anext(changes)).authorizations[0].state
        with pytest.raises(CorpNotAuthorized):
            await until_refused(broker, corps[0])
    assert AuthorizationState.ACTIVE is (await broker.authorization(SUITE, corps[1])).state


async def until_refused(broker: Broker, corp: str) -> None:
    """Ask for a token again and again: the client serves it from memory until its watch ends."""
    while await broker.access_token(SUITE, corp=corp):
        await asyncio.sleep(0)


async def snapshot(changes: AsyncIterator[AuthorizationChange]) -> list[Authorization]:
    found: list[Authorization] = []
    async for change in changes:
        found += change.authorizations
        if change.snapshot_complete:
            break
    return found


async def test_a_permission_that_the_corp_adds_is_there_after_a_refresh(
    running: Playground, broker: Broker
) -> None:
    found = await installed(running, broker)
    running.world.suites.active(SUITE, demo.PARENT).permissions["chat:export"] = running.world.now() + 3600
    refreshed = await broker.refresh_authorization(SUITE, found.corp_id)

    (permission,) = [each for each in refreshed.agents[0].permissions if each.name == "chat:export"]
    assert permission.expire_time
    assert permission.expire_time.timestamp() == pytest.approx(running.world.now() + 3600, abs=60)


async def test_many_corps_are_listed_in_pages_without_gaps(running: Playground, broker: Broker) -> None:
    for corp in (demo.PARENT, *demo.children(3)):
        running.world.console.install(SUITE, corp)
    corps = {running.world.suites.corpid(SUITE, corp) for corp in (demo.PARENT, *demo.children(3))}
    for corp in corps:
        await until_read(broker, corp)
    stub, token, pages = SuiteServiceStub(broker.channel), "", []
    while not pages or token:
        request = suite_pb.ListAuthorizationsRequest(app=SUITE, page_size=3, page_token=token)
        page = await stub.ListAuthorizations(request, timeout=PATIENCE_SECONDS)
        pages.append([each.corp_id for each in page.authorizations])
        token = page.next_page_token

    assert [3, 1] == [len(page) for page in pages]
    assert sorted(corps) == [corp for page in pages for corp in page]


async def test_a_template_has_no_link_and_what_is_no_suite_nothing(broker: Broker) -> None:
    with pytest.raises(InvalidRequest):
        await broker.install_url(TEMPLATE, BACK)
    with pytest.raises(InvalidRequest):
        await listed(broker, "crm")
    with pytest.raises(UnknownApp):
        await listed(broker, "nosuch")


async def test_the_status_tells_of_tickets_and_counts(running: Playground, broker: Broker) -> None:
    await installed(running, broker)
    running.world.console.authorize_data(SUITE, demo.PARENT, "chat:export", 3600)
    corp = running.world.suites.corpid(SUITE, demo.PARENT)
    await broker.refresh_authorization(SUITE, corp)
    status = await AdminServiceStub(broker.channel).GetStatus(admin_pb.GetStatusRequest())
    market, tailored = status.suites

    assert (SUITE, 1, 0, "") == (market.app, market.active_count, market.lost_count, market.ticket_problem)
    assert 1800 == market.ticket_expire_time.seconds - market.ticket_time.seconds
    assert market.next_permission_expire_time.seconds == pytest.approx(running.world.now() + 3600, abs=60)
    assert (TEMPLATE, 0) == (tailored.app, tailored.active_count)


async def test_the_service_is_healthy_and_a_stopping_broker_ends_its_watches() -> None:
    async with Broker("127.0.0.1:1", timeout=5) as nobody:
        with pytest.raises(BrokerUnreachable):
            await listed(nobody)
    async with playground() as running, Broker(running.address) as broker:
        health = health_pb2_grpc.HealthStub(broker.channel)
        request = health_pb2.HealthCheckRequest(service="wecom_broker.v1.SuiteService")
        assert health_pb2.HealthCheckResponse.SERVING == (await health.Check(request)).status
        watch = SuiteServiceStub(broker.channel).WatchAuthorizations(
            suite_pb.WatchAuthorizationsRequest(app=SUITE)
        )
        first = await watch.read()
        assert (True, True) == (first.snapshot, first.snapshot_complete)
        began = asyncio.get_running_loop().time()
    # The block has ended: the broker drained, which a watch must not hold up for the whole grace period.
    assert asyncio.get_running_loop().time() - began < PATIENCE_SECONDS
