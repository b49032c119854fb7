"""How corps install a suite, and what the provider is told."""

import pytest
from yarl import URL

from broker.simulator import ShareCdata, World
from broker.simulator import provider_demo as demo
from tests.simulator.caller import FakeClock
from tests.simulator.suites.acme import CHILD, PARENT, SERVICE, Acme
from tests.simulator.suites.told import Told

REDIRECT = "https://broker.example.com/installed?from=wecom"


async def link(
    acme: Acme, *, state: str = "4f9c1e77a0b2", redirect_uri: str = REDIRECT, auth_type: int = 0
) -> str:
    """Return an install link as a provider builds it."""
    token = await acme.suite_token()
    code = (await acme.wecom.get(f"{SERVICE}/get_pre_auth_code", suite_access_token=token))["pre_auth_code"]
    if auth_type:
        body = {"pre_auth_code": code, "session_info": {"auth_type": auth_type}}
        await acme.wecom.post(f"{SERVICE}/set_session_info", body, suite_access_token=token)
    query = {"suite_id": demo.MARKET, "pre_auth_code": code, "redirect_uri": redirect_uri, "state": state}
    return str(URL("https://open.work.weixin.qq.com/3rdapp/install").with_query(query))


# --- by link


async def test_an_install_by_link_ends_at_the_redirect_and_sends_no_event(acme: Acme, told: Told) -> None:
    url = await link(acme)
    await told.all()
    install = acme.world.console.install_by_link(url, PARENT)
    end = URL(install.redirect)

    assert ("broker.example.com", "/installed") == (end.host, end.path)
    assert {
        "from": "wecom",
        "auth_code": install.auth_code,
        "expires_in": "600",
        "state": "4f9c1e77a0b2",
    } == dict(end.query)
    assert [] == await told.all()
    assert 0 == (await acme.exchange(install.auth_code))["errcode"]


async def test_a_link_ends_after_20_minutes(acme: Acme, world: World, clock: FakeClock) -> None:
    url = await link(acme)
    clock.now += 1200

    with pytest.raises(ValueError, match="42007"):
        world.console.install_by_link(url, PARENT)


async def test_an_invented_link_is_refused(world: World) -> None:
    url = f"https://open.work.weixin.qq.com/3rdapp/install?suite_id={demo.MARKET}&pre_auth_code=x"

    with pytest.raises(ValueError, match="40077"):
        world.console.install_by_link(url, PARENT)
    with pytest.raises(LookupError, match="no suite"):
        world.console.install_by_link(url.replace(demo.MARKET, "ww0"), PARENT)
    with pytest.raises(ValueError, match="QR code only"):
        world.console.install_by_link(url.replace(demo.MARKET, demo.TAILORED), PARENT)


@pytest.mark.parametrize("state", ["a-b", "x" * 129, "é"])
async def test_a_state_has_128_letters_and_digits_at_most(acme: Acme, world: World, state: str) -> None:
    with pytest.raises(ValueError, match="state"):
        world.console.install_by_link(await link(acme, state=state), PARENT)


async def test_a_link_ends_at_the_registered_host_only(acme: Acme, world: World) -> None:
    world.suites.get("market").redirect_host = "broker.example.com"
    assert world.console.install_by_link(await link(acme), PARENT).redirect

    with pytest.raises(ValueError, match="redirect_uri"):
        world.console.install_by_link(await link(acme, redirect_uri="https://evil.example.com/"), PARENT)


async def test_a_suite_that_is_not_published_takes_test_installs_only(acme: Acme, world: World) -> None:
    world.suites.get("market").published = False
    with pytest.raises(ValueError, match="auth_type"):
        world.console.install_by_link(await link(acme), PARENT)

    assert world.console.install_by_link(await link(acme, auth_type=1), PARENT).redirect


async def test_a_published_suite_takes_no_test_install(acme: Acme) -> None:
    token = await acme.suite_token()
    code = (await acme.wecom.get(f"{SERVICE}/get_pre_auth_code", suite_access_token=token))["pre_auth_code"]
    answers = [
        await acme.wecom.post(f"{SERVICE}/set_session_info", body, suite_access_token=token)
        for body in (
            {"pre_auth_code": code, "session_info": {"auth_type": 0}},
            {"pre_auth_code": code, "session_info": {"auth_type": 1}},
            {"pre_auth_code": code, "session_info": {"auth_type": "0"}},
            {"pre_auth_code": code},
            {"pre_auth_code": "invented", "session_info": {"auth_type": 0}},
        )
    ]

    assert [0, 40058, 40058, 40058, 40077] == [answer["errcode"] for answer in answers]


# --- by other doors


@pytest.mark.parametrize(("suite", "by"), [("market", "market"), ("market", "member"), ("tailored", "qr")])
async def test_other_installs_are_told_by_create_auth(told: Told, suite: str, by: str) -> None:
    install = told.world.console.install(suite, PARENT, by)
    got, suite_id = await told.one(), told.world.suites.get(suite).suite_id

    assert f"/callback/{suite}" == got.path
    assert (suite_id, suite_id, "") == (got.receive_id, got.to_user_name, got.agent_id)
    assert (
        f"<xml><SuiteId><![CDATA[{suite_id}]]></SuiteId><AuthCode><![CDATA[{install.auth_code}]]></AuthCode>"
        "<InfoType><![CDATA[create_auth]]></InfoType><TimeStamp>1800000000</TimeStamp>"
        "<State><![CDATA[]]></State><ExtraInfo></ExtraInfo></xml>"
    ) == got.message.decode()


async def test_a_qr_codes_state_is_told(told: Told) -> None:
    told.world.console.install("tailored", PARENT, state="dk2026")

    assert "dk2026" == (await told.one()).text("State")


async def test_create_auth_may_be_sealed_for_the_provider(told: Told) -> None:
    told.world.settings.create_auth_for_provider = True
    told.world.console.install("market", PARENT)
    told.world.console.cancel("market", PARENT)
    created, cancelled = await told.all()

    assert (demo.PROVIDER, demo.PROVIDER) == (created.receive_id, created.to_user_name)
    assert demo.MARKET == cancelled.receive_id


@pytest.mark.parametrize(
    ("suite", "by", "state"),
    [
        ("tailored", "market", ""),
        ("tailored", "member", ""),
        ("market", "market", "s"),
        ("market", "qr", "x" * 33),
        ("market", "window", ""),
    ],
)
def test_what_wecom_does_not_offer_is_refused(world: World, suite: str, by: str, state: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        world.console.install(suite, PARENT, by, state=state)
    assert [] == world.suites.authorizations(world.suites.get(suite).suite_id)


async def test_an_install_without_a_url_tells_nobody(acme: Acme, world: World) -> None:
    code = world.console.install("market", PARENT).auth_code

    assert [] == list(world.callbacks.outbox.deliveries)
    assert 0 == (await acme.exchange(code))["errcode"]


# --- by a share


async def test_a_share_installs_a_third_party_app_in_each_child(acme: Acme, told: Told) -> None:
    console, children = acme.world.console, demo.children(3)
    console.install("market", PARENT)
    await told.all()
    installs = console.install_by_share("market", PARENT, children)
    got = await told.all()
    created = [each.text("AuthCode") for each in got if each.text("InfoType") == "create_auth"]
    (share,) = [each for each in got if each.text("InfoType") != "create_auth"]

    assert {install.auth_code for install in installs} == set(created)
    assert 3 == len({install.corp_id for install in installs})
    app = console.app("market", PARENT)
    known = acme.world.suites.corpid("market", PARENT)
    assert (
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId>"
        "<InfoType><![CDATA[share_agent_change]]></InfoType><TimeStamp>1800000000</TimeStamp>"
        f"<AppId>1</AppId><CorpId>![CDATA[{known}]]></CorpId><AgentId>{app.agentid}</AgentId></xml>"
    ) == share.message.decode()
    assert 0 == (await acme.exchange(created[0]))["errcode"]


@pytest.mark.parametrize("cdata", [ShareCdata.WELL_FORMED, ShareCdata.WITHOUT_ENDS])
async def test_the_share_event_may_be_well_formed(told: Told, cdata: ShareCdata) -> None:
    told.world.settings.share_cdata = cdata
    told.world.console.install("market", PARENT)
    told.world.console.install_by_share("market", PARENT, [CHILD], business_type=1)
    *_, share = await told.all()

    assert "share_chain_change" == share.text("InfoType")
    known = told.world.suites.corpid("market", PARENT)
    expected = known if cdata is ShareCdata.WELL_FORMED else f"![CDATA[{known}]]"
    assert expected == share.text("CorpId")


async def test_a_shared_customized_app_is_reached_by_the_parents_token(told: Told) -> None:
    console = told.world.console
    console.install("tailored", PARENT)
    await told.all()

    assert [] == console.install_by_share("tailored", PARENT, [CHILD])
    got, known = await told.one(), told.world.suites.corpid("tailored", PARENT)
    assert f"/callback/tailored/{known}" == got.path
    assert (known, known, "share_agent_change") == (got.receive_id, got.text("ToUserName"), got.text("Event"))
    assert str(console.app("tailored", PARENT).agentid) == got.text("AgentID")


@pytest.mark.parametrize("by_setting", [True, False])
async def test_a_shared_customized_app_may_be_installed_in_each_child_too(
    told: Told, *, by_setting: bool
) -> None:
    world = told.world
    world.console.install("tailored", PARENT)
    if by_setting:
        world.settings.customized_share = world.settings.customized_share.CREATE_AUTH
    (install,) = world.console.install_by_share(
        "tailored", PARENT, [CHILD], way=None if by_setting else "create_auth"
    )
    names = await told.names()

    assert ["create_auth", "create_auth", "share_agent_change"] == sorted(names)
    assert install.corp_id == world.suites.corpid("tailored", CHILD)


def test_only_who_has_a_suite_can_share_it(world: World) -> None:
    with pytest.raises(LookupError, match="never authorised"):
        world.console.install_by_share("market", PARENT, [CHILD])
    world.console.install("market", PARENT)
    with pytest.raises(ValueError, match="always installed"):
        world.console.install_by_share("market", PARENT, [CHILD], way="child_token")
    with pytest.raises(LookupError, match="no corp"):
        world.console.install_by_share("market", PARENT, [CHILD, "ww0nobody"])
    assert 1 == len(world.suites.authorizations(demo.MARKET))
