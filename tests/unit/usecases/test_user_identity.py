"""Who a visitor is: a code goes to WeCom once, whatever comes of it."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from broker.domain.corps import ShareKind
from broker.domain.errors import (
    BrokerError,
    CodeRejected,
    InvalidRequest,
    IpNotTrusted,
    RateLimited,
    TokenRejected,
    UnknownApp,
    WecomProtocol,
    WecomUnavailable,
)
from broker.domain.people.users import User, UserKind
from broker.domain.shares import AppShare
from broker.protocol.authorize_url import Scope
from broker.usecases.identity import Identities
from broker.usecases.login_apps import LoginApps
from tests.kit.memory.engine_world import CRM, OWN, PARENT, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.fake_users import CountedChance, FakeUsers, member
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

OAUTH = "https://open.weixin.qq.com"


@pytest.fixture
def users(wecom: SimulatedWecom) -> FakeUsers:
    codes = {f"code{number}": member("ww-child", f"user{number}") for number in range(10)}
    return FakeUsers(wecom.is_alive, {**codes, "own": member(PARENT, "zhangsan", UserKind.OWN_MEMBER)})


@pytest.fixture
def identity(replica: Replica, users: FakeUsers) -> Identities:
    apps = LoginApps(replica.catalog, replica.core.authorizations)
    return Identities(apps, replica.targets, replica.engine, users, CountedChance(), OAUTH)


async def exchanged(identity: Identities, code: str) -> tuple[User, bool]:
    """Exchange a code; return the user, and whether the corp is known."""
    visitor = await identity.exchange_code("crm", code)
    return visitor.user, visitor.corp_known


def died() -> TokenRejected:
    error = TokenRejected("the token is dead", errcode=40014)
    error.code_unread = True
    return error


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (lambda: WecomUnavailable("timeout"), "WECOM_UNAVAILABLE"),
        (lambda: TokenRejected("another token is dead", errcode=42009), "WECOM_UNAVAILABLE"),
        (lambda: TokenRejected("nobody knows which"), "WECOM_UNAVAILABLE"),
        (lambda: RateLimited("limit", errcode=45009), "RATE_LIMITED"),
        (lambda: WecomProtocol("junk"), "WECOM_PROTOCOL"),
        (lambda: CodeRejected("spent", errcode=40029), "CODE_REJECTED"),
        (lambda: IpNotTrusted("ip", errcode=60020), "IP_NOT_TRUSTED"),
    ],
)
async def test_a_code_is_sent_once_whatever_wecom_answers(
    world: EngineWorld, users: FakeUsers, identity: Identities, trouble: object, told: str
) -> None:
    users.fail(trouble)  # type: ignore[arg-type]
    refused = await world.run(outcome(identity.exchange_code("crm", "code1")))

    assert isinstance(refused, BrokerError)
    assert (told, 1) == (refused.reason, users.sent["code1"])


@pytest.mark.parametrize("errcode", [40014, 42001])
async def test_a_login_that_finds_the_token_dead_is_made_with_a_new_one(
    world: EngineWorld,
    wecom: SimulatedWecom,
    replica: Replica,
    users: FakeUsers,
    identity: Identities,
    errcode: int,
) -> None:
    users.death_errcode = errcode
    wecom.kill((await world.run(replica.engine.get(OWN))).value)
    user, known = await world.run(exchanged(identity, "code1"))

    assert (member("ww-child", "user1"), True) == (user, known)
    # The first time WeCom looked at the token only.
    assert (2, {"code1"}, 2) == (users.sent["code1"], users.spent, wecom.count(Endpoint.APP_TOKEN))


async def test_a_code_that_no_token_carries_is_sent_twice_at_most(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers, identity: Identities
) -> None:
    users.fail(died, times=5)
    refused = await world.run(outcome(identity.exchange_code("crm", "code1")))

    assert isinstance(refused, WecomUnavailable)
    assert not isinstance(refused, TokenRejected)
    assert (2, set(), 2) == (users.sent["code1"], users.spent, wecom.count(Endpoint.APP_TOKEN))


async def test_an_outage_of_the_second_try_ends_the_login(
    world: EngineWorld, users: FakeUsers, identity: Identities
) -> None:
    users.fail(died)
    users.fail(lambda: WecomUnavailable("timeout"), times=5)
    refused = await world.run(outcome(identity.exchange_code("crm", "code1")))

    assert isinstance(refused, WecomUnavailable)
    assert 2 == users.sent["code1"]


async def test_many_logins_that_find_the_token_dead_replace_it_once_and_succeed(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, users: FakeUsers, identity: Identities
) -> None:
    wecom.kill((await world.run(replica.engine.get(OWN))).value)
    found = await world.gather(
        *(outcome(identity.exchange_code("crm", f"code{number}")) for number in range(10))
    )

    assert not [error for error in found if isinstance(error, BrokerError)]
    assert (2, 10) == (wecom.count(Endpoint.APP_TOKEN), len(users.spent))
    assert max(users.sent.values()) <= 2


async def test_an_unknown_child_is_listed_for_once_and_then_flagged(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, users: FakeUsers, identity: Identities
) -> None:
    users.users |= {"s1": member("ww-stranger", "lisi"), "s2": member("ww-stranger", "lisi")}
    await world.run(identity.exchange_code("crm", "code1"))
    listed = wecom.count(Endpoint.SHARES)
    await clock.advance(timedelta(minutes=1))
    first = await world.run(exchanged(identity, "s1"))
    second = await world.run(exchanged(identity, "s2"))

    assert [(member("ww-stranger", "lisi"), False)] * 2 == [first, second]
    assert listed + 1 == wecom.count(Endpoint.SHARES)


async def test_a_child_that_was_shared_a_moment_ago_is_known(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, users: FakeUsers, identity: Identities
) -> None:
    users.users["new"] = member("ww-new", "lisi")
    await world.run(identity.exchange_code("crm", "code1"))
    await clock.advance(timedelta(minutes=1))
    wecom.shares.append(AppShare(ShareKind.CORP_GROUP, "ww-new", 9))

    assert (member("ww-new", "lisi"), True) == await world.run(exchanged(identity, "new"))


async def test_a_user_is_told_though_the_share_list_cannot_be_had(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers, identity: Identities
) -> None:
    wecom.fail(Endpoint.SHARES, lambda: WecomUnavailable("away"))

    assert (member("ww-child", "user1"), False) == await world.run(exchanged(identity, "code1"))


@pytest.mark.parametrize("kind", [UserKind.EXTERNAL_CONTACT, UserKind.NON_MEMBER, UserKind.OWN_MEMBER])
async def test_only_a_childs_member_is_looked_for_in_the_share_list(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers, identity: Identities, kind: UserKind
) -> None:
    users.users["x"] = user = User("", "", kind, open_id="o")

    assert (user, True) == await world.run(exchanged(identity, "x"))
    assert 0 == wecom.count(Endpoint.SHARES)


@pytest.mark.parametrize("code", ["", "a b", "a\n", "ü", "a\x00b", "x" * 513])
async def test_a_malformed_code_is_refused_before_it_is_sent(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers, identity: Identities, code: str
) -> None:
    exchange = await outcome(identity.exchange_code("crm", code))
    profile = await outcome(identity.fetch_profile("crm", code))

    assert isinstance(exchange, InvalidRequest)
    assert isinstance(profile, InvalidRequest)
    assert ("code", "user_ticket") == (exchange.metadata["field"], profile.metadata["field"])
    assert not code.strip() or code not in f"{exchange}{exchange.metadata}"
    assert (0, 0) == (users.sent.total(), wecom.count())


@pytest.mark.parametrize("code", ["x", "x" * 512, "a-b_c.d+e/f=%~"])
async def test_any_visible_code_is_sent_as_it_is(
    world: EngineWorld, users: FakeUsers, identity: Identities, code: str
) -> None:
    await world.run(outcome(identity.exchange_code("crm", code)))

    assert 1 == users.sent[code]


async def test_a_profile_survives_a_dead_token_since_its_ticket_is_no_code(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, identity: Identities
) -> None:
    wecom.kill((await world.run(replica.engine.get(OWN))).value)
    profile = await world.run(identity.fetch_profile("crm", "ticket-of-zhangsan"))

    assert (PARENT, {"userid": "zhangsan"}) == (profile.corp_id, profile.fields)


@pytest.mark.parametrize("scope", list(Scope))
async def test_the_link_names_the_parents_corp_and_app(identity: Identities, scope: Scope) -> None:
    url, state = await identity.build_authorize_url("crm", "https://child.example.com/in?a=1&b=2", scope, "")
    query = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}

    assert {
        "appid": PARENT,
        "redirect_uri": "https://child.example.com/in?a=1&b=2",
        "response_type": "code",
        "scope": scope.value,
        "state": state,
        "agentid": str(CRM.agent_id),
    } == query
    assert (OAUTH, True) == (url[: len(OAUTH)], url.endswith("#wechat_redirect"))


async def test_a_state_is_kept_as_the_caller_gives_it_and_made_anew_where_there_is_none(
    identity: Identities,
) -> None:
    async def state_of(state: str) -> str:
        return (await identity.build_authorize_url("crm", "https://a.example/", Scope.BASE, state))[1]

    given = await state_of("abcXYZ019")
    made = {await state_of("") for _ in range(5)}

    assert ("abcXYZ019", 5) == (given, len(made))


async def test_an_app_that_is_not_configured_has_no_link_and_spends_no_code(
    world: EngineWorld, users: FakeUsers, identity: Identities
) -> None:
    with pytest.raises(UnknownApp):
        await identity.build_authorize_url("nobody", "https://a.example/", Scope.BASE, "")

    assert isinstance(await outcome(identity.exchange_code("nobody", "code1")), UnknownApp)
    assert 0 == users.sent["code1"]
