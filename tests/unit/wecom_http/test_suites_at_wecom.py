"""The life of a third-party app and of a 代开发 app, read from the simulated WeCom."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.adapters.wecom.suites.tokens import SuiteTokenEndpoints
from broker.adapters.wecom.tokens import TokenEndpoints
from broker.adapters.wecom.users import UserEndpoints
from broker.domain.apps import App, AppKind
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import BrokerError, CodeRejected, ReauthorizationRequired, SuiteTicketMissing
from broker.domain.people.users import UserKind
from broker.domain.ports.wecom import ExchangedCode
from broker.domain.secret import Secret
from broker.domain.suites.authorization import AuthMode, Permission, SharedFrom
from broker.domain.suites.suite import Provider, Suite
from broker.simulator import World, provider_demo, running_simulator
from broker.simulator.world.suites.authorization import Edition
from tests.unit.wecom_http.recorders import Surroundings
from tests.unit.wecom_http.suites import token

ACME = Provider("acme", provider_demo.PROVIDER, Secret(provider_demo.PROVIDER_SECRET))
MARKET = Suite("market", AppKind.THIRD_PARTY, provider_demo.MARKET, Secret(provider_demo.MARKET_SECRET), ACME)
TAILORED = Suite(
    "tailored", AppKind.CUSTOMIZED, provider_demo.TAILORED, Secret(provider_demo.TAILORED_SECRET), ACME
)
PARENT, CHILD, MEMBER = provider_demo.PARENT, provider_demo.child(1), provider_demo.MEMBER
SUITES = pytest.mark.parametrize("suite", [MARKET, TAILORED], ids=["third-party", "customized"])


@pytest.fixture
def world() -> World:
    return provider_demo.provider_world()


@dataclass
class Desk:
    """A provider's side of WeCom's endpoints."""

    client: WecomClient
    world: World

    @property
    def authorizations(self) -> AuthorizationEndpoints:
        return AuthorizationEndpoints(self.client)

    async def suite_token(self, suite: Suite) -> Credential:
        ticket = Secret(self.world.console.tickets.push(suite.name))
        grant = await SuiteTokenEndpoints(self.client).fetch_suite_token(suite, ticket)
        return token(CredentialKey.suite_token(suite), grant.value.reveal())

    async def installed(self, suite: Suite, corp: str) -> tuple[ExchangedCode, App]:
        """Install the suite in a corp, and return what its code buys, and the app as it is read then."""
        return await self.exchanged(suite, self.world.console.install(suite.name, corp).auth_code)

    async def exchanged(self, suite: Suite, auth_code: str) -> tuple[ExchangedCode, App]:
        suite_token = await self.suite_token(suite)
        code = await self.authorizations.exchange_auth_code(suite_token, Secret(auth_code))
        app = App(suite.name, suite.kind, code.corp_id, 0, code.permanent_code)
        details = await self.authorizations.read_authorization(suite_token, app)
        return code, replace(app, agent_id=details.agents[0].agent_id)

    async def corp_token(self, app: App) -> Credential:
        if app.kind is AppKind.CUSTOMIZED:
            grant = await TokenEndpoints(self.client).fetch_app_token(app)
        else:
            grant = await SuiteTokenEndpoints(self.client).fetch_corp_token(
                await self.suite_token(MARKET), app
            )
        return token(CredentialKey.own_token(app), grant.value.reveal())


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    async with running_simulator(world) as url, Surroundings().wecom(url) as wecom:
        yield Desk(wecom.client, world)


async def test_a_provider_s_token_is_the_same_until_it_dies(desk: Desk) -> None:
    endpoints = SuiteTokenEndpoints(desk.client)
    first, repeated = await endpoints.fetch_provider_token(ACME), await endpoints.fetch_provider_token(ACME)
    assert desk.world.kill(first.value.reveal())
    other = await endpoints.fetch_provider_token(ACME)

    assert first.value == repeated.value != other.value


@SUITES
async def test_an_old_ticket_is_told_from_a_wrong_secret(desk: Desk, suite: Suite) -> None:
    with pytest.raises(SuiteTicketMissing):
        await SuiteTokenEndpoints(desk.client).fetch_suite_token(suite, Secret("no-ticket-of-this-suite"))


@SUITES
async def test_an_installation_leads_to_a_corp_s_token(desk: Desk, suite: Suite) -> None:
    code, app = await desk.installed(suite, PARENT)
    known = desk.world.suites.authorization(suite.name, PARENT)
    corp_token = await desk.corp_token(app)

    assert known.permanent_code == code.permanent_code.reveal()
    assert (desk.world.suites.corpid(suite.name, PARENT), known.agentid) == (app.corp_id, app.agent_id)
    found = desk.world.tokens.find(corp_token.value.reveal())
    assert found
    assert known.app == found.owner.app


@SUITES
async def test_a_spent_code_is_refused_and_was_read(desk: Desk, suite: Suite) -> None:
    auth_code = desk.world.console.install(suite.name, PARENT).auth_code
    await desk.exchanged(suite, auth_code)
    with pytest.raises(CodeRejected) as refused:
        await desk.exchanged(suite, auth_code)

    assert not refused.value.code_unread


@SUITES
async def test_a_code_beside_a_dead_suite_token_is_still_good(desk: Desk, suite: Suite) -> None:
    auth_code = desk.world.console.install(suite.name, PARENT).auth_code
    suite_token = await desk.suite_token(suite)
    assert desk.world.kill(suite_token.value.reveal())
    with pytest.raises(BrokerError) as refused:
        await desk.authorizations.exchange_auth_code(suite_token, Secret(auth_code))

    assert refused.value.code_unread
    assert await desk.exchanged(suite, auth_code)


async def test_an_address_that_is_not_trusted_leaves_the_code_good(desk: Desk) -> None:
    auth_code = desk.world.console.install("market", PARENT).auth_code
    suite_token = await desk.suite_token(MARKET)
    provider = desk.world.suites.provider(ACME.corp_id)
    provider.trusted_ips = frozenset({"203.0.113.9"})
    with pytest.raises(BrokerError) as refused:
        await desk.authorizations.exchange_auth_code(suite_token, Secret(auth_code))
    provider.trusted_ips = None

    assert ("IP_NOT_TRUSTED", True) == (refused.value.reason, refused.value.code_unread)
    assert await desk.exchanged(MARKET, auth_code)


async def test_a_child_that_a_share_installed_for_names_its_parent(desk: Desk) -> None:
    _, parent = await desk.installed(MARKET, PARENT)
    [install] = desk.world.console.install_by_share("market", PARENT, [CHILD])
    code, app = await desk.exchanged(MARKET, install.auth_code)
    details = await desk.authorizations.read_authorization(await desk.suite_token(MARKET), app)

    assert "" == code.installer_user_id
    assert SharedFrom(parent.corp_id, ShareKind.CORP_GROUP) == details.agents[0].shared_from


async def test_what_a_corp_paid_for_and_allows_is_read(desk: Desk) -> None:
    _, app = await desk.installed(MARKET, PARENT)
    desk.world.console.change_edition("market", PARENT, Edition("RLS9001", "标准版", 3, 300, 1795104000))
    desk.world.console.authorize_data("market", PARENT, "data:chat", 3600)
    suite_token = await desk.suite_token(MARKET)
    edition = (await desk.authorizations.read_editions(suite_token, app))[app.agent_id]
    permissions = await desk.authorizations.read_permissions(await desk.corp_token(app))

    assert ("RLS9001", 3, 300) == (edition.edition_id, edition.app_status, edition.user_limit)
    assert Permission("message:send") in permissions
    assert ["data:chat"] == [one.name for one in permissions if one.expires_at]


@SUITES
async def test_a_corp_that_cancelled_must_authorise_again(desk: Desk, suite: Suite) -> None:
    _, app = await desk.installed(suite, PARENT)
    suite_token = await desk.suite_token(suite)
    desk.world.console.cancel(suite.name, PARENT)
    with pytest.raises(ReauthorizationRequired):
        await desk.authorizations.read_authorization(suite_token, app)


async def test_a_member_of_a_corp_logs_in_by_the_suite(desk: Desk) -> None:
    await desk.installed(MARKET, CHILD)
    corp_id = desk.world.suites.corpid("market", CHILD)
    users, suite_token = UserEndpoints(desk.client), await desk.suite_token(MARKET)
    code = desk.world.people.suite_login_code("market", CHILD, MEMBER, privateinfo=True)
    user = await users.exchange_auth_code(suite_token, Secret(code))
    assert user.user_ticket
    profile = await users.fetch_profile(suite_token, user.user_ticket)
    js_code = desk.world.people.suite_js_code("market", CHILD, MEMBER)
    session = await users.exchange_login_code(suite_token, Secret(js_code))
    with pytest.raises(CodeRejected):
        await users.exchange_auth_code(suite_token, Secret(code))

    assert (corp_id, UserKind.OWN_MEMBER) == (user.corp_id, user.kind)
    assert (
        (corp_id, user.user_id)
        == (profile["corpid"], profile["userid"])
        == (session.corp_id, session.user_id)
    )
    assert "name" not in profile


async def test_a_visitor_of_the_suite_is_of_no_corp(desk: Desk) -> None:
    code = desk.world.people.suite_visitor_code("market", "oAbc1XyZ")
    user = await UserEndpoints(desk.client).exchange_auth_code(await desk.suite_token(MARKET), Secret(code))

    assert ("", UserKind.NON_MEMBER, "oAbc1XyZ") == (user.corp_id, user.kind, user.open_id)


async def test_a_link_installs_for_test_only_if_it_says_so(desk: Desk) -> None:
    desk.world.suites.get("market").published = False
    suite_token = await desk.suite_token(MARKET)
    pre_auth_code = (await desk.authorizations.fetch_pre_auth_code(suite_token)).value
    await desk.authorizations.set_session_info(suite_token, pre_auth_code, test_install=True)
    link = (
        f"https://open.work.weixin.qq.com/3rdapp/install?suite_id={MARKET.suite_id}"
        f"&pre_auth_code={pre_auth_code.reveal()}&redirect_uri=https%3A%2F%2Fa.example%2F&state=s1"
    )
    install = desk.world.console.install_by_link(link, PARENT)
    _, app = await desk.exchanged(MARKET, install.auth_code)
    details = await desk.authorizations.read_authorization(suite_token, app)

    assert AuthMode.ADMIN is details.auth_mode
