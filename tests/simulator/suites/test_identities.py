"""Logins at third-party and 代开发 apps."""

import pytest

from broker.simulator import World
from broker.simulator import provider_demo as demo
from broker.simulator.world.suites.suite import Suite
from tests.simulator.caller import JS_CODE_TO_SESSION, USER_DETAIL, USER_INFO, FakeClock, Json
from tests.simulator.suites.acme import CHILD, PARENT, SERVICE, Acme

USER_INFO_3RD = f"{SERVICE}/auth/getuserinfo3rd"
USER_DETAIL_3RD = f"{SERVICE}/auth/getuserdetail3rd"
SESSION = f"{SERVICE}/miniprogram/jscode2session"


async def user_info(acme: Acme, code: str, suite: str = "market") -> Json:
    token = await acme.suite_token(suite)
    return await acme.wecom.get(USER_INFO_3RD, suite_access_token=token, code=code)


async def session_of(acme: Acme, code: str, suite: str = "market") -> Json:
    query = {"js_code": code, "grant_type": "authorization_code"}
    return await acme.wecom.get(SESSION, suite_access_token=await acme.suite_token(suite), **query)


async def test_a_member_is_named_with_the_corp(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    user = await user_info(acme, world.people.suite_login_code("market", PARENT, "zhangsan"))
    known = world.suites.provider("acme").userid(PARENT, "zhangsan")

    assert {
        "errcode": 0,
        "errmsg": "ok",
        "corpid": world.suites.corpid("market", PARENT),
        "userid": known,
        "open_userid": known,
    } == user


async def test_a_profile_is_shown_for_the_user_ticket(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    code = world.people.suite_login_code("market", PARENT, "zhangsan", privateinfo=True)
    user = await user_info(acme, code)
    profile = await acme.of_suite(USER_DETAIL_3RD, {"user_ticket": user["user_ticket"]})

    assert 7200 == user["expires_in"]
    assert user["corpid"] == profile["corpid"]
    assert user["userid"] == profile["userid"] == profile["name"]


async def test_a_user_ticket_ends_and_is_the_suites_own(acme: Acme, world: World, clock: FakeClock) -> None:
    world.console.install("market", PARENT)
    code = world.people.suite_login_code("market", PARENT, "zhangsan", privateinfo=True)
    body = {"user_ticket": (await user_info(acme, code))["user_ticket"]}
    world.suites.add(Suite("ww0login", "secret", demo.PROVIDER, name="login"))

    assert 84015 == (await acme.of_suite(USER_DETAIL_3RD, body, "login"))["errcode"]
    assert 84090 == (await acme.of_suite(USER_DETAIL_3RD, {}))["errcode"]
    clock.now += 7200
    assert 84014 == (await acme.of_suite(USER_DETAIL_3RD, body))["errcode"]


async def test_a_corp_that_has_not_installed_shows_encrypted_ids_only(acme: Acme, world: World) -> None:
    provider = world.suites.provider("acme")
    provider.encrypted_ids = False
    world.console.install("market", PARENT)
    code = world.people.suite_login_code("market", CHILD, "lisi", privateinfo=True)
    stranger = await user_info(acme, code)
    member = await user_info(acme, world.people.suite_login_code("market", PARENT, "zhangsan"))

    assert provider.open_userid(CHILD, "lisi") == stranger["userid"] == stranger["open_userid"]
    assert "user_ticket" not in stranger
    assert "zhangsan" == member["userid"]


async def test_somebody_else_has_an_openid(acme: Acme, world: World) -> None:
    user = await user_info(acme, world.people.suite_visitor_code("market", "oAbc"))

    assert {"errcode": 0, "errmsg": "ok", "openid": "oAbc"} == user


async def test_a_code_is_redeemed_once_by_the_suite_of_its_link(acme: Acme, world: World) -> None:
    world.suites.add(Suite("ww0login", "secret", demo.PROVIDER, name="login"))
    code = world.people.suite_login_code("login", PARENT, "zhangsan")

    assert 40029 == (await user_info(acme, code))["errcode"]
    assert 0 == (await user_info(acme, code, "login"))["errcode"]
    assert 42022 == (await user_info(acme, code, "login"))["errcode"]
    assert 41008 == (await user_info(acme, ""))["errcode"]
    assert 3 == world.log.times_sent(code)


async def test_a_customized_app_may_not_call_these(acme: Acme) -> None:
    assert 48002 == (await user_info(acme, "code", "tailored"))["errcode"]
    assert 48002 == (await session_of(acme, "code", "tailored"))["errcode"]
    assert 48002 == (await acme.of_suite(USER_DETAIL_3RD, {"user_ticket": "x"}, "tailored"))["errcode"]


async def test_a_customized_app_uses_the_calls_of_a_self_built_one(acme: Acme, world: World) -> None:
    world.console.install("tailored", PARENT)
    token, provider = await acme.corp_token("tailored"), world.suites.provider("acme")
    code = world.people.suite_login_code("tailored", PARENT, "zhangsan", privateinfo=True)
    user = await acme.wecom.get(USER_INFO, access_token=token, code=code)
    profile = await acme.wecom.post(USER_DETAIL, {"user_ticket": user["user_ticket"]}, access_token=token)
    js_code = world.people.suite_js_code("tailored", PARENT, "zhangsan")
    query = {"js_code": js_code, "grant_type": "authorization_code"}
    session = await acme.wecom.get(JS_CODE_TO_SESSION, access_token=token, **query)

    known = provider.userid(PARENT, "zhangsan")
    assert [known] * 3 == [user["userid"], profile["userid"], session["userid"]]
    assert provider.corpid(PARENT) == session["corpid"]


async def test_a_mini_program_session_is_opened_by_its_suite(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    code = world.people.suite_js_code("market", PARENT, "zhangsan")
    world.suites.add(Suite("ww0plain", "secret", demo.PROVIDER, name="plain"))

    assert 90212 == (await session_of(acme, code, "plain"))["errcode"]
    session = await session_of(acme, code)
    assert world.suites.corpid("market", PARENT) == session["corpid"]
    assert session["session_key"] == world.people.session_key_of(PARENT, "zhangsan")
    assert 42022 == (await session_of(acme, code))["errcode"]


@pytest.mark.parametrize("grant_type", ["", "code"])
async def test_the_grant_type_is_checked(acme: Acme, grant_type: str) -> None:
    query = {"js_code": "x", "grant_type": grant_type, "suite_access_token": await acme.suite_token()}

    assert 40058 == (await acme.wecom.get(SESSION, **query))["errcode"]
