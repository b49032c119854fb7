"""What happens to an authorisation after it was granted, and what the provider is told."""

import pytest

from broker.simulator import World
from broker.simulator import provider_demo as demo
from broker.simulator.world.settings import OldSecretDies
from broker.simulator.world.suites.authorization import Edition
from tests.simulator.caller import FakeClock
from tests.simulator.suites.acme import AUTH_INFO, CHILD, CORP_TOKEN, PARENT, Acme
from tests.simulator.suites.told import Told


@pytest.fixture(autouse=True)
async def _installed(acme: Acme, told: Told) -> None:
    for suite in ("market", "tailored"):
        await acme.exchange(acme.world.console.install(suite, PARENT).auth_code, suite)
    await told.all()


# --- cancel_auth


async def test_a_cancel_is_told_and_leaves_other_corps_alone(acme: Acme, told: Told) -> None:
    acme.world.console.install_by_share("market", PARENT, [CHILD])
    tokens = [await acme.corp_token(corp=corp) for corp in (PARENT, CHILD)]
    await told.all()
    known = acme.world.suites.corpid("market", PARENT)
    acme.world.console.cancel("market", PARENT)

    assert (
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId><InfoType><![CDATA[cancel_auth]]></InfoType>"
        f"<TimeStamp>1800000000</TimeStamp><AuthCorpId><![CDATA[{known}]]></AuthCorpId></xml>"
    ) == (await told.one()).message.decode()
    probes = [await acme.wecom.get("/cgi-bin/agent/list", access_token=token) for token in tokens]
    assert [40014, 0] == [probe["errcode"] for probe in probes]
    with pytest.raises(LookupError, match="cancelled"):
        acme.world.console.cancel("market", PARENT)


async def test_a_corp_that_comes_back_has_a_new_permanent_code(acme: Acme, world: World) -> None:
    old = world.suites.authorization("market", PARENT)
    world.console.cancel("market", PARENT)
    back = await acme.exchange(world.console.install("market", PARENT).auth_code)

    assert old.permanent_code != back["permanent_code"]
    assert 40084 == (await acme.about(CORP_TOKEN, permanent_code=old.permanent_code))["errcode"]
    assert "access_token" in await acme.about(CORP_TOKEN)


async def test_it_may_have_the_old_one_again(acme: Acme, world: World) -> None:
    world.settings.reinstall_keeps_permanent_code = True
    old = world.suites.authorization("market", PARENT)
    world.console.cancel("market", PARENT)
    back = await acme.exchange(world.console.install("market", PARENT).auth_code)

    assert old.permanent_code == back["permanent_code"]


async def test_a_corp_that_cancelled_everything_may_come_back_under_another_id(
    acme: Acme, world: World
) -> None:
    old = world.suites.corpid("market", PARENT)
    world.console.cancel("market", PARENT)
    with pytest.raises(ValueError, match="still has tailored"):
        world.console.new_corpid("acme", PARENT)

    world.console.cancel("tailored", PARENT)
    new = world.console.new_corpid("acme", PARENT)
    install = world.console.install("market", PARENT)

    assert old != new == install.corp_id
    assert new == (await acme.exchange(install.auth_code))["auth_corp_info"]["corpid"]
    assert 2000002 == (await acme.about(CORP_TOKEN, auth_corpid=old))["errcode"]
    assert "access_token" in await acme.about(CORP_TOKEN)


# --- change_auth


async def test_a_change_is_told(told: Told) -> None:
    told.world.console.change("market", PARENT)
    known = told.world.suites.corpid("market", PARENT)

    assert (
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId><InfoType><![CDATA[change_auth]]></InfoType>"
        f"<TimeStamp>1800000000</TimeStamp><AuthCorpId><![CDATA[{known}]]></AuthCorpId>"
        "<State><![CDATA[]]></State></xml>"
    ) == (await told.one()).message.decode()


# --- reset_permanent_code


async def test_a_reset_is_told_and_brings_a_new_secret(acme: Acme, told: Told) -> None:
    old = acme.world.suites.authorization("tailored", PARENT).permanent_code
    install = acme.world.console.reset("tailored", PARENT)

    assert (
        f"<xml><SuiteId><![CDATA[{demo.TAILORED}]]></SuiteId>"
        f"<AuthCode><![CDATA[{install.auth_code}]]></AuthCode>"
        "<InfoType><![CDATA[reset_permanent_code]]></InfoType><TimeStamp>1800000000</TimeStamp></xml>"
    ) == (await told.one()).message.decode()
    new = (await acme.exchange(install.auth_code, "tailored"))["permanent_code"]
    assert old != new
    assert 0 == (await acme.gettoken(corpsecret=new))["errcode"]


@pytest.mark.parametrize(
    ("dies", "between"), [(OldSecretDies.AT_RESET, 40001), (OldSecretDies.AT_EXCHANGE, 0)]
)
async def test_when_the_old_secret_dies_is_a_setting(
    acme: Acme, world: World, dies: OldSecretDies, between: int
) -> None:
    world.settings.old_secret_dies = dies
    old = world.suites.authorization("tailored", PARENT).permanent_code
    lost = world.console.reset("tailored", PARENT)
    install = world.console.reset("tailored", PARENT)

    assert between == (await acme.gettoken(corpsecret=old))["errcode"]
    await acme.exchange(install.auth_code, "tailored")
    assert 40001 == (await acme.gettoken(corpsecret=old))["errcode"]
    assert 0 == (await acme.exchange(lost.auth_code, "tailored"))["errcode"]
    assert 0 == (await acme.gettoken())["errcode"]


def test_a_third_party_app_has_no_secret_to_reset(world: World) -> None:
    with pytest.raises(ValueError, match="代开发"):
        world.console.reset("market", PARENT)


# --- editions and permissions


async def test_a_changed_edition_is_told_for_each_child_of_the_share(acme: Acme, told: Told) -> None:
    world = acme.world
    world.console.install_by_share("market", PARENT, demo.children(2))
    world.console.install("market", demo.child(3))
    await told.all()
    world.console.change_edition("market", PARENT, Edition("RLS1", "专业版", user_limit=7))
    got = await told.all()
    paid = [world.suites.corpid("market", corp) for corp in (PARENT, *demo.children(2))]

    assert {
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId><PaidCorpId><![CDATA[{corpid}]]></PaidCorpId>"
        "<InfoType><![CDATA[change_editon]]></InfoType><TimeStamp>1800000000</TimeStamp></xml>"
        for corpid in paid
    } == {each.message.decode() for each in got}
    editions = [(await acme.about(AUTH_INFO, corp))["edition_info"]["agent"][0] for corp in (PARENT, CHILD)]
    assert [("RLS1", 7, False), ("RLS1", 7, True)] == [
        (each["edition_id"], each["user_limit"], each["is_shared_from_other_corp"]) for each in editions
    ]
    with pytest.raises(ValueError, match="no editions"):
        world.console.change_edition("tailored", PARENT, Edition())


async def test_a_data_permission_is_granted_reminded_of_and_ends(
    acme: Acme, told: Told, clock: FakeClock
) -> None:
    console, known = acme.world.console, acme.world.suites.corpid("market", PARENT)
    console.authorize_data("market", PARENT, "data_zone_chat", 100)
    assert (
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId><AuthCorpId><![CDATA[{known}]]></AuthCorpId>"
        "<InfoType><![CDATA[auth_data_permission]]></InfoType><TimeStamp>1800000000</TimeStamp>"
        "<AuthType><![CDATA[data_zone_chat]]></AuthType></xml>"
    ) == (await told.one()).message.decode()

    console.remind_data("market", PARENT, "data_zone_chat")
    reminder = await told.one()
    assert ("expire_remind_data_permission", "data_zone_chat") == (
        reminder.text("InfoType"),
        reminder.text("AuthType"),
    )

    clock.now += 50
    console.end_permission("market", PARENT, "data_zone_chat")
    assert ["change_auth"] == await told.names()
    answer = await acme.wecom.request(
        "POST", "/cgi-bin/agent/get_permissions", access_token=await acme.corp_token()
    )
    assert 1_800_000_050 == answer["app_permissions_ext"][0]["expire_time"]
    with pytest.raises(LookupError, match="never granted"):
        console.end_permission("market", PARENT, "another")
