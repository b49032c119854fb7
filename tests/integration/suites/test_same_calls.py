"""One program, unchanged, for a self-built app, a third-party suite and a 代开发 app."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import pytest
from wecom_broker import AppShare, Broker, ShareKind, UserKind
from wecom_broker.errors import CorpNotAuthorized, InvalidRequest, SessionNotFound
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from broker.cli.demo.playground import APP, PROVIDER, SUITE, TEMPLATE, Playground, playground
from broker.simulator import demo, provider_demo

PAGE = "https://app.example.com/page"
PATIENCE_SECONDS = 30.0
PARENT, CHILD = provider_demo.PARENT, provider_demo.child(1)


@pytest.fixture
async def running() -> AsyncIterator[Playground]:
    async with playground() as running:
        await running.world.callbacks.outbox.settled()
        yield running


@pytest.fixture
async def broker(running: Playground) -> AsyncIterator[Broker]:
    async with Broker(running.address) as broker:
        yield broker


@dataclass(frozen=True)
class Installed:
    """An app that a parent shares with a child, and how their members log in."""

    app: str
    parent: str
    child: str
    login_code: Callable[[bool], str]
    js_code: Callable[[bool], str]


def self_built(running: Playground) -> Installed:
    world, parent, child = running.world, demo.PARENT.corpid, "ww1child000000001"
    user = {False: (parent, "zhangsan"), True: (child, "lisi")}
    return Installed(
        APP,
        parent,
        child,
        lambda of_child: world.people.login_code(*user[of_child], privateinfo=True),
        lambda of_child: world.people.js_code(*user[of_child]),
    )


def suite(running: Playground, name: str) -> Installed:
    """Install a suite in the parent, and let the parent share it."""
    world = running.world
    world.console.install(name, PARENT)
    known = world.suites.corpid
    shared_by = {False: "", True: PARENT if name == TEMPLATE else ""}
    corp = {False: PARENT, True: CHILD}

    def code(make: Callable[..., str], of_child: bool, **more: bool) -> str:
        return make(name, corp[of_child], "lisi", parent=shared_by[of_child], **more)

    return Installed(
        name,
        known(name, PARENT),
        known(name, CHILD),
        lambda of_child: code(world.people.suite_login_code, of_child, privateinfo=True),
        lambda of_child: code(world.people.suite_js_code, of_child),
    )


async def until_shared(broker: Broker, it: Installed) -> AppShare:
    """Return the child's share once the broker has heard of it."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        aclosing(broker.watch_app_shares(it.app, parent=it.parent)) as changes,
    ):
        async for change in changes:
            for share in change.shares:
                if share.corp_id == it.child:
                    return share
    raise AssertionError("a watch does not end")


async def until_authorized(broker: Broker, app: str, corp: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.watch_authorizations(app)) as changes:
        async for change in changes:
            if any(found.corp_id == corp and found.agents for found in change.authorizations):
                return


@pytest.fixture(params=[APP, SUITE, TEMPLATE])
async def installed(request: pytest.FixtureRequest, running: Playground, broker: Broker) -> Installed:
    """The app in the parent and in the child."""
    if request.param == APP:
        return self_built(running)
    it = suite(running, request.param)
    await until_authorized(broker, it.app, it.parent)
    running.world.console.install_by_share(it.app, PARENT, [CHILD])
    if it.app == SUITE:
        await until_authorized(broker, it.app, it.child)
    return it


async def test_one_program_serves_every_kind_of_app(
    running: Playground, broker: Broker, installed: Installed
) -> None:
    app, parent, child = installed.app, installed.parent, installed.child

    share = await until_shared(broker, installed)
    assert (app, parent, ShareKind.CORP_GROUP) == (share.app, share.parent_corp_id, share.share_kind)
    assert share in [found async for found in broker.app_shares(app, parent=parent)]
    assert 0 < (await broker.sync_app_shares(app, parent=parent)).unchanged_count

    for corp in (parent, child):
        token = await broker.access_token(app, corp)
        assert corp == token.corp_id
        assert running.world.tokens.find(token.value)
        async with aclosing(broker.watch_access_token(app, corp)) as rotations:
            assert token.value == (await anext(rotations)).value
        page = await broker.sign_page(app, PAGE, corp)
        assert (corp, corp) == (page.config.corp_id, page.agent_config.corp_id)
        assert token.agent_id == page.agent_config.agent_id
        answer = await broker.call(app, "/cgi-bin/agent/get", corp=corp, query={"agentid": token.agent_id})
        assert (0, token.agent_id) == (answer.errcode, answer.json()["agentid"])

    for of_child in (False, True):
        corp = child if of_child else parent
        user = await broker.user_from_code(app, installed.login_code(of_child), corp=parent)
        assert (corp, False) == (user.corp_id, user.corp_unknown)
        assert user.kind in (UserKind.OWN_MEMBER, UserKind.CHILD_MEMBER)
        if not of_child:  # WeCom gives no ticket to a child's member at the parent's app (wecom-api A7)
            profile = await broker.user_profile(app, user.user_ticket, corp=parent)
            assert (corp, user.user_id) == (profile.corp_id, profile.user_id)
        session = await broker.mini_program_login(app, installed.js_code(of_child), corp=parent)
        assert corp == session.corp_id
        assert await broker.session_key(session)
        await broker.delete_session(session)


async def test_a_dead_token_of_each_kind_is_replaced(
    running: Playground, broker: Broker, installed: Installed
) -> None:
    await until_shared(broker, installed)
    for corp in (installed.parent, installed.child):
        token = await broker.access_token(installed.app, corp)
        running.world.kill(token.value)
        assert token.value != (await broker.rejected(token, 40014)).value


@pytest.mark.parametrize("name", [SUITE, TEMPLATE, PROVIDER])
async def test_suites_and_providers_have_tokens_of_their_own(
    running: Playground, broker: Broker, name: str
) -> None:
    token = await broker.access_token(name)
    assert 0 == token.agent_id
    assert running.world.kill(token.value)
    stub, target = TokenServiceStub(broker.channel), token_pb.GetAccessTokenRequest().target
    target.app = name
    report = token_pb.ReportInvalidTokenRequest(target=target, generation=token.generation, errcode=40082)
    replaced = await stub.ReportInvalidToken(report)

    assert token.value != replaced.token.value
    listed = await AdminServiceStub(broker.channel).ListCredentials(admin_pb.ListCredentialsRequest(app=name))
    assert [name] == [found.app for found in listed.credentials]


async def test_an_ended_share_and_a_cancelled_corp_are_refused(running: Playground, broker: Broker) -> None:
    it = suite(running, TEMPLATE)
    await until_authorized(broker, it.app, it.parent)
    running.world.console.install_by_share(it.app, PARENT, [CHILD])
    await until_shared(broker, it)
    session = await broker.mini_program_login(it.app, it.js_code(True), corp=it.parent)
    await broker.access_token(it.app, it.child)

    running.world.console.cancel(it.app, PARENT)
    await running.world.callbacks.outbox.settled()
    for corp in (it.parent, it.child):
        with pytest.raises(CorpNotAuthorized):
            await broker.call(it.app, "/cgi-bin/agent/get", corp=corp, query={"agentid": 1})
    with pytest.raises(SessionNotFound):
        await broker.session_key(session)


async def test_the_corp_that_shares_a_suite_must_be_named(broker: Broker) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await broker.sync_app_shares(SUITE)
    assert "parent_corp_id" == refused.value.metadata["field"]
