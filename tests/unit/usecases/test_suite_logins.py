"""Who a visitor of a suite's page or mini-program is: the same calls as for a self-built app."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from broker.adapters.wecom.users import UserEndpoints
from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.errors import (
    ApiNotAuthorized,
    BrokerError,
    CodeRejected,
    CorpNotAuthorized,
    InvalidRequest,
    SessionNotFound,
    UnknownApp,
)
from broker.domain.people.sessions import Session
from broker.domain.people.users import UserKind
from broker.domain.shares import ListingKey
from broker.domain.suites.authorization import AuthorizationState
from broker.protocol.authorize_url import Scope
from broker.simulator import provider_demo as demo
from broker.usecases.bindings import Bindings
from broker.usecases.identity import Identities
from broker.usecases.login_apps import LoginApps
from broker.usecases.mini_program import MiniProgramLogins
from broker.usecases.sessions import Sessions
from tests.kit.memory.engine_world import POLICY, Replica
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.provider_world import MARKET, SECOND, TAILORED, ProviderWorld
from tests.kit.memory.wecom import Connection

PAGE = "https://app.example/in"
PARENT, CHILD, STRANGER = demo.PARENT, demo.child(1), demo.child(2)


@pytest.fixture
async def world() -> AsyncIterator[ProviderWorld]:
    async with ProviderWorld() as world:
        yield world


@pytest.fixture
async def replica(world: ProviderWorld) -> Replica:
    """A replica with both suites, which the parent has authorised."""
    replica = await world.start()
    for suite in (MARKET, TAILORED):
        await world.push(replica, suite)
        await world.authorize(replica, suite=suite)
    return replica


def endpoints(world: ProviderWorld, replica: Replica) -> UserEndpoints:
    return UserEndpoints(cast("Any", Connection(world.wecom, replica.gate, 0)))


def login_apps(replica: Replica) -> LoginApps:
    return LoginApps(replica.catalog, replica.core.authorizations)


@pytest.fixture
def identity(world: ProviderWorld, replica: Replica) -> Identities:
    users = endpoints(world, replica)
    oauth = "https://open.weixin.qq.com"
    return Identities(login_apps(replica), replica.targets, replica.engine, users, CountedChance(), oauth)


@pytest.fixture
def logins(world: ProviderWorld, replica: Replica) -> MiniProgramLogins:
    sessions = Sessions(
        catalog=replica.catalog,
        authorizations=replica.core.authorizations,
        shares=replica.shares,
        sessions=replica.storage.sessions,
        groups=replica.storage.groups,
        counters=replica.store,
        clock=replica.clock,
        randomness=CountedChance(),
    )
    return MiniProgramLogins(
        apps=login_apps(replica),
        bindings=Bindings(replica.engine, replica.store, replica.clock, POLICY.cooldown),
        targets=replica.targets,
        shares=replica.shares,
        engine=replica.engine,
        users=endpoints(world, replica),
        sessions=sessions,
        clock=replica.clock,
        watermarks={},
    )


async def share_tailored(world: ProviderWorld, replica: Replica) -> None:
    """Share the 代开发 app with the child, and have the parent's shares listed."""
    world.suite_wecom.world.console.install_by_share("tailored", PARENT, [CHILD], way="child_token")
    parent = await replica.sharing.parents.named("tailored", corp_of(world, PARENT))
    await world.run(replica.lister.sync(parent))


def corp_of(world: ProviderWorld, corp: str) -> str:
    return world.suite_wecom.corp_id(corp, "market")


def login_code(world: ProviderWorld, suite: str, corp: str, parent: str = "") -> str:
    people = world.suite_wecom.world.people
    return people.suite_login_code(suite, corp, "lisi", privateinfo=True, parent=parent)


def js_code(world: ProviderWorld, suite: str, corp: str, parent: str = "") -> str:
    return world.suite_wecom.world.people.suite_js_code(suite, corp, "lisi", parent=parent)


async def refusal(world: ProviderWorld, asking: Any) -> tuple[type, str]:
    """Return the kind of the error, and the field that it names."""
    with pytest.raises(BrokerError) as refused:
        await world.run(asking)
    return type(refused.value), refused.value.metadata.get("field", "")


# --- links


async def link(identity: Identities, name: str, corp_id: str = "") -> dict[str, str]:
    url, _ = await identity.build_authorize_url(name, PAGE, Scope.PRIVATE_INFO, "", corp_id)
    return {key: value for key, [value] in parse_qs(urlsplit(url).query).items()}


async def test_a_third_party_link_names_the_suite_and_no_agent(identity: Identities) -> None:
    query = await link(identity, "market")

    assert MARKET.suite_id == query["appid"]
    assert "agentid" not in query


async def test_a_customized_apps_link_names_its_corp_and_agent(
    world: ProviderWorld, replica: Replica, identity: Identities
) -> None:
    authorization = await replica.core.authorizations.sole(TAILORED)
    expected = {"appid": authorization.corp_id, "agentid": str(authorization.agent_id)}
    for corp_id in ("", authorization.corp_id):
        query = await link(identity, "tailored", corp_id)
        assert expected == {name: query[name] for name in expected}


async def test_a_corp_must_be_named_once_several_have_the_app(
    world: ProviderWorld, replica: Replica, identity: Identities, logins: MiniProgramLogins
) -> None:
    await world.authorize(replica, CHILD, TAILORED)

    assert (InvalidRequest, "corp_id") == await refusal(world, link(identity, "tailored"))
    assert (InvalidRequest, "corp_id") == await refusal(world, identity.exchange_code("tailored", "code"))
    assert (InvalidRequest, "corp_id") == await refusal(world, identity.fetch_profile("tailored", "ticket"))
    login = logins.exchange_login_code("tailored", "code", None)
    assert (InvalidRequest, "corp_id") == await refusal(world, login)
    child = corp_of(world, CHILD)
    assert child == (await link(identity, "tailored", child))["appid"]


@pytest.mark.parametrize(
    ("name", "corp_id", "error", "field"),
    [
        ("tailored", "wpStranger", CorpNotAuthorized, ""),
        ("acme", "", InvalidRequest, "app"),
        ("nobody", "", UnknownApp, ""),
    ],
)
async def test_nobody_logs_in_where_there_is_no_app(
    world: ProviderWorld, identity: Identities, name: str, corp_id: str, error: type, field: str
) -> None:
    assert (error, field) == await refusal(world, link(identity, name, corp_id))
    assert (error, field) == await refusal(world, identity.exchange_code(name, "code", corp_id))
    assert (error, field) == await refusal(world, identity.fetch_profile(name, "ticket", corp_id))


# --- codes


@pytest.mark.parametrize("name", ["market", "tailored"])
async def test_a_member_of_the_corp_that_authorised_is_told_with_the_profile(
    world: ProviderWorld, identity: Identities, name: str
) -> None:
    visitor = await world.run(identity.exchange_code(name, login_code(world, name, PARENT)))
    user, corp_id = visitor.user, corp_of(world, PARENT)

    assert (corp_id, True, UserKind.OWN_MEMBER) == (user.corp_id, visitor.corp_known, user.kind)
    assert user.user_ticket
    profile = await world.run(identity.fetch_profile(name, user.user_ticket.reveal()))
    assert (corp_id, user.user_id) == (profile.corp_id, profile.fields["userid"])
    assert "corpid" not in profile.fields


async def test_a_corp_that_never_authorised_the_suite_is_unknown(
    world: ProviderWorld, identity: Identities
) -> None:
    visitor = await world.run(identity.exchange_code("market", login_code(world, "market", STRANGER)))

    assert not visitor.corp_known
    assert visitor.user.corp_id not in ("", corp_of(world, PARENT))


async def test_somebody_of_no_corp_is_told_by_the_open_id(world: ProviderWorld, identity: Identities) -> None:
    code = world.suite_wecom.world.people.suite_visitor_code("market", "oOpenId")
    visitor = await world.run(identity.exchange_code("market", code))

    assert ("", "oOpenId", True) == (visitor.user.corp_id, visitor.user.open_id, visitor.corp_known)


async def test_a_member_of_a_child_logs_in_at_the_parents_customized_app(
    world: ProviderWorld, replica: Replica, identity: Identities
) -> None:
    await share_tailored(world, replica)
    code = login_code(world, "tailored", CHILD, PARENT)
    visitor = await world.run(identity.exchange_code("tailored", code, corp_of(world, PARENT)))

    assert (corp_of(world, CHILD), UserKind.CHILD_MEMBER) == (visitor.user.corp_id, visitor.user.kind)
    assert (True, corp_of(world, PARENT)) == (visitor.corp_known, visitor.app_corp_id)


async def test_a_suites_code_is_sent_once(world: ProviderWorld, identity: Identities) -> None:
    code = login_code(world, "market", PARENT)
    await world.run(identity.exchange_code("market", code))

    assert (CodeRejected, "") == await refusal(world, identity.exchange_code("market", code))


# --- sessions


@pytest.mark.parametrize("name", ["market", "tailored"])
async def test_a_session_belongs_to_the_corp_that_authorised(
    world: ProviderWorld, logins: MiniProgramLogins, name: str
) -> None:
    session = await world.run(logins.exchange_login_code(name, js_code(world, name, PARENT), None))

    assert (corp_of(world, PARENT), False) == (session.corp_id, session.converted)
    assert session == await logins.find(session.session_id)


async def test_an_agent_id_that_the_corp_does_not_have_is_refused_by_the_requests_field(
    world: ProviderWorld, logins: MiniProgramLogins
) -> None:
    code = js_code(world, "market", PARENT)
    asking = logins.exchange_login_code("market", code, None, agent_id=999)

    assert (InvalidRequest, "agent_id") == await refusal(world, asking)


@pytest.mark.parametrize(
    ("errcode", "error", "field"), [(40014, ApiNotAuthorized, ""), (90208, InvalidRequest, "js_code")]
)
async def test_a_mini_program_of_another_app_is_no_outage(
    world: ProviderWorld,
    replica: Replica,
    logins: MiniProgramLogins,
    errcode: int,
    error: type,
    field: str,
) -> None:
    world.suite_wecom.world.settings.unbound_app_errcode = errcode
    await world.authorize(replica, CHILD, TAILORED)
    code, parent = js_code(world, "tailored", CHILD), corp_of(world, PARENT)

    assert (error, field) == await refusal(
        world, logins.exchange_login_code("tailored", code, None, corp_id=parent)
    )
    # The refusal to another app leaves the code for its own.
    own = corp_of(world, CHILD)
    session = await world.run(logins.exchange_login_code("tailored", code, None, corp_id=own))
    assert own == session.corp_id


async def test_a_childs_session_is_converted_as_for_a_self_built_app(
    world: ProviderWorld, replica: Replica, logins: MiniProgramLogins
) -> None:
    await share_tailored(world, replica)
    code = js_code(world, "tailored", CHILD, PARENT)
    session = await world.run(logins.exchange_login_code("tailored", code, None))

    assert (corp_of(world, CHILD), True) == (session.corp_id, session.converted)
    assert corp_of(world, PARENT) == session.parent_corp_id
    assert session == await logins.find(session.session_id)
    world.suite_wecom.world.console.unshare("tailored", PARENT, [CHILD])
    await world.clock.jump(world.policy.cooldown)
    parent = await replica.sharing.parents.named("tailored", corp_of(world, PARENT))
    await world.run(replica.lister.sync(parent))
    assert (SessionNotFound, "") == await refusal(world, logins.find(session.session_id))


async def test_a_login_through_a_parent_is_converted_though_the_child_has_the_app_by_itself_too(
    world: ProviderWorld, replica: Replica, logins: MiniProgramLogins
) -> None:
    await share_tailored(world, replica)
    await world.authorize(replica, CHILD, TAILORED)
    code = js_code(world, "tailored", CHILD, PARENT)

    login = logins.exchange_login_code("tailored", code, None, corp_id=corp_of(world, PARENT))
    session = await world.run(login)

    assert (corp_of(world, CHILD), True) == (session.corp_id, session.converted)
    assert corp_of(world, PARENT) == session.parent_corp_id


async def test_a_session_of_a_corp_that_never_authorised_is_refused_and_not_kept(
    world: ProviderWorld, logins: MiniProgramLogins
) -> None:
    login = logins.exchange_login_code("market", js_code(world, "market", STRANGER), None)

    assert (CorpNotAuthorized, "") == await refusal(world, login)
    assert not [name for name in world.shared.records if name.startswith("session:")]


async def test_the_right_to_the_corp_is_asked_before_the_session_is_kept(
    world: ProviderWorld, logins: MiniProgramLogins
) -> None:
    corps: list[str] = []
    code = js_code(world, "market", PARENT)
    await world.run(logins.exchange_login_code("market", code, None, corps.append))

    assert [corp_of(world, PARENT)] == corps


async def test_only_a_shared_app_has_sessions_that_are_converted(
    world: ProviderWorld, logins: MiniProgramLogins
) -> None:
    for target, field in [
        (Target("market", corp_of(world, PARENT)), "target.app"),
        (Target("acme"), "target.app"),
        (Target("tailored"), "target.corp_id"),
    ]:
        assert (InvalidRequest, field) == await refusal(world, logins.convert(target, "lisi", "key"))


@pytest.mark.parametrize("name", ["market", "tailored"])
async def test_a_cancelled_authorisation_takes_its_sessions_with_it(
    world: ProviderWorld, replica: Replica, logins: MiniProgramLogins, name: str
) -> None:
    suite, corp_id = replica.catalog.suites[name], corp_of(world, PARENT)
    session = await world.run(logins.exchange_login_code(name, js_code(world, name, PARENT), None))
    group = Session.group_of(name, corp_id)
    named = [Session.name_of(session.session_id)]
    assert named == await replica.storage.groups.members(group, 0, 10)

    world.suite_wecom.cancel(PARENT, name)
    await replica.core.suites.cancellation.cancel(suite, corp_id, world.clock.now())
    await world.until(replica, suite, corp_id, AuthorizationState.CANCELLED)
    assert (SessionNotFound, "") == await refusal(world, logins.find(session.session_id))
    await world.clock.advance(60 * SECOND)
    assert world.shared.records[named[0]].is_tombstone
    assert [] == await replica.storage.groups.members(group, 0, 10)


async def test_a_parent_that_cancels_takes_its_shares_and_its_childrens_tokens_with_it(
    world: ProviderWorld, replica: Replica, logins: MiniProgramLogins
) -> None:
    await share_tailored(world, replica)
    child, parent = Target("tailored", corp_of(world, CHILD)), corp_of(world, PARENT)
    token = await world.run(replica.tokens.get(child))
    code = js_code(world, "tailored", CHILD, PARENT)
    session = await world.run(logins.exchange_login_code("tailored", code, None))
    # Another replica takes the cancellation, and holds none of it.
    other = await world.start()
    await world.until(other, TAILORED, parent, AuthorizationState.ACTIVE)
    world.suite_wecom.cancel(PARENT, "tailored")
    await other.core.suites.cancellation.cancel(TAILORED, parent, world.clock.now())
    await world.clock.advance(60 * SECOND)

    assert world.shared.records[token.key.name].is_tombstone
    assert replica.memory.find(token.key) is None
    listing = await replica.shares.recall(ListingKey("tailored", ShareKind.CORP_GROUP, parent))
    assert listing
    assert () == listing.shares
    assert (CorpNotAuthorized, "") == await refusal(world, replica.tokens.get(child))
    assert (SessionNotFound, "") == await refusal(world, logins.find(session.session_id))


async def test_a_corp_that_comes_back_does_not_bring_its_old_sessions_back(
    world: ProviderWorld, replica: Replica, logins: MiniProgramLogins
) -> None:
    session = await world.run(logins.exchange_login_code("market", js_code(world, "market", PARENT), None))
    found = replica.core.authorizations.get(("market", corp_of(world, PARENT)))
    assert found
    again = replace(found, fence=found.fence + 1, installed_at=found.installed_at + SECOND)
    await replica.core.authorizations.adopt(again)

    assert (SessionNotFound, "") == await refusal(world, logins.find(session.session_id))


async def test_a_group_that_lists_sessions_tells_nobody_how_to_use_them(
    world: ProviderWorld, replica: Replica, logins: MiniProgramLogins
) -> None:
    session = await world.run(logins.exchange_login_code("market", js_code(world, "market", PARENT), None))
    [listed] = await replica.storage.groups.members(Session.group_of("market", session.corp_id), 0, 10)

    assert session.session_id not in listed
    assert (InvalidRequest, "session_id") == await refusal(world, logins.find(listed))
