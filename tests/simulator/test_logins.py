"""Web logins: codes, and what they are exchanged for."""

import json

import pytest

from broker.simulator import AppId, BusinessType, Reset, World, demo
from broker.simulator.world.people.userids import encrypted_userid
from tests.simulator.caller import CHILD, SUPPLIER, USER_DETAIL, USER_GET, USER_INFO, Caller, FakeClock, Json

OWN, GROUP, CHAIN = demo.PARENT.corpid, str(CHILD["corpid"]), str(SUPPLIER["corpid"])


async def detail(wecom: Caller, body: Json, token: str | None = None) -> Json:
    return await wecom.post(USER_DETAIL, body, access_token=token or await wecom.token())


async def test_an_own_member_is_named_plainly(wecom: Caller, world: World) -> None:
    assert {"errcode": 0, "errmsg": "ok", "userid": "zhangsan"} == await wecom.user_info(
        world.people.login_code(OWN, "ZhangSan")
    )


async def test_a_child_s_member_is_named_with_the_corp(wecom: Caller, world: World) -> None:
    answer = await wecom.user_info(world.people.login_code(GROUP, "lisi", privateinfo=True))

    assert {"errcode": 0, "errmsg": "ok", "userid": f"{GROUP}/lisi"} == answer


async def test_a_member_in_the_supply_chain_has_an_encrypted_userid(wecom: Caller, world: World) -> None:
    answer = await wecom.user_info(world.people.login_code(CHAIN, "wangwu"))
    encrypted = encrypted_userid(demo.PARENT, CHAIN, "wangwu")

    assert f"{CHAIN}/{encrypted}" == answer["userid"]
    assert encrypted.startswith("wo")
    assert 32 == len(encrypted)

    world.settings.supply_chain_userids_encrypted = False
    assert f"{CHAIN}/wangwu" == (await wecom.user_info(world.people.login_code(CHAIN, "wangwu")))["userid"]


async def test_who_is_no_member_has_other_ids(wecom: Caller, world: World) -> None:
    stranger, customer = world.people.visitor_code("o1"), world.people.visitor_code("o2", "wm2")

    assert {"errcode": 0, "errmsg": "ok", "openid": "o1"} == await wecom.user_info(stranger)
    assert {"errcode": 0, "errmsg": "ok", "openid": "o2", "external_userid": "wm2"} == await wecom.user_info(
        customer
    )


async def test_a_member_of_a_corp_without_the_share_can_still_log_in(wecom: Caller, world: World) -> None:
    world.add_corp("ww9stranger", "没有共享的公司")

    assert (
        "ww9stranger/new" == (await wecom.user_info(world.people.login_code("ww9stranger", "new")))["userid"]
    )
    with pytest.raises(LookupError):
        world.people.login_code("ww9nobody", "new")


async def test_where_both_kinds_of_share_are_the_kind_can_be_chosen(wecom: Caller, world: World) -> None:
    world.share(demo.PARENT, AppId(GROUP, 1000010), BusinessType.SUPPLY_CHAIN)
    code = world.people.login_code(GROUP, "lisi", business_type=BusinessType.SUPPLY_CHAIN)

    assert f"{GROUP}/lisi" == (await wecom.user_info(world.people.login_code(GROUP, "lisi")))["userid"]
    assert f"{GROUP}/wo" == (await wecom.user_info(code))["userid"][: len(GROUP) + 3]


async def test_a_code_works_once(wecom: Caller, world: World) -> None:
    code = world.people.login_code(OWN, "zhangsan")
    await wecom.user_info(code)

    assert 42022 == (await wecom.user_info(code))["errcode"]
    world.settings.used_code_errcode = 40029
    assert 40029 == (await wecom.user_info(code))["errcode"]


async def test_a_code_lives_for_five_minutes(wecom: Caller, world: World, clock: FakeClock) -> None:
    timely, late = world.people.login_code(OWN, "zhangsan"), world.people.login_code(OWN, "zhangsan")
    clock.now += 299.9
    assert 0 == (await wecom.user_info(timely))["errcode"]
    clock.now += 0.1
    assert 42003 == (await wecom.user_info(late))["errcode"]


async def test_a_code_belongs_to_the_app_that_issued_the_link(wecom: Caller, world: World) -> None:
    world.add_app(OWN, 7, "another")
    another = (await wecom.gettoken(corpsecret="another"))["access_token"]
    code = world.people.login_code(GROUP, "lisi")

    assert 40029 == (await wecom.user_info(code, another))["errcode"]
    assert 40029 == (await wecom.user_info(code, await wecom.child_token()))["errcode"]
    assert 0 == (await wecom.user_info(code))["errcode"]
    assert 0 == (await wecom.user_info(world.people.login_code(OWN, "x", AppId(OWN, 7)), another))["errcode"]


@pytest.mark.parametrize(("code", "errcode"), [("", 41008), ("invented", 40029)])
async def test_a_code_that_never_was_is_refused(wecom: Caller, code: str, errcode: int) -> None:
    assert errcode == (await wecom.user_info(code))["errcode"]


async def test_a_mini_program_s_code_is_none_of_a_page(wecom: Caller, world: World) -> None:
    assert 40029 == (await wecom.user_info(world.people.js_code(OWN, "zhangsan")))["errcode"]


async def test_an_answer_that_is_lost_spends_the_code_and_the_log_tells_how_often_it_came(
    wecom: Caller, world: World
) -> None:
    code, other = world.people.login_code(OWN, "zhangsan"), world.people.login_code(OWN, "zhangsan")
    world.faults.add("getuserinfo", Reset(takes_effect=True), times=1)
    # aiohttp sends a GET again when its connection is reset before an answer (wecom-api G26).
    await wecom.user_info(code)
    await wecom.user_info(other)

    assert (2, 1, 0) == (world.log.times_sent(code), world.log.times_sent(other), world.log.times_sent("x"))
    assert {1, 2} == set(world.log.codes.values())
    assert 42022 == (await wecom.user_info(code))["errcode"]


async def test_no_code_and_no_user_ticket_is_kept_in_the_log(wecom: Caller, world: World) -> None:
    code = world.people.login_code(OWN, "zhangsan", privateinfo=True)
    ticket = (await wecom.user_info(code))["user_ticket"]
    await detail(wecom, {"user_ticket": ticket})
    _, shown = await wecom.control("GET", "calls")

    for kept in (repr(list(world.log.records)), json.dumps(shown), repr(world.log.codes)):
        assert code not in kept
        assert ticket not in kept
    assert [1] == list(shown["codes"].values())


async def test_consent_brings_a_ticket_for_the_profile(wecom: Caller, world: World, clock: FakeClock) -> None:
    user = await wecom.user_info(world.people.login_code(OWN, "zhangsan", privateinfo=True))
    profile = await detail(wecom, {"user_ticket": user["user_ticket"]})

    assert ("zhangsan", 1800) == (user["userid"], user["expires_in"])
    assert ("zhangsan", "1", "13800000000") == (profile["userid"], profile["gender"], profile["mobile"])
    assert profile == await detail(wecom, {"user_ticket": user["user_ticket"]})

    clock.now += 1800
    assert 84014 == (await detail(wecom, {"user_ticket": user["user_ticket"]}))["errcode"]


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"user_ticket": "invented"}, 84015),
        ({"user_ticket": ""}, 84090),
        ({}, 84090),
        ({"user_ticket": 7}, 40058),
    ],
)
async def test_a_bad_user_ticket_is_refused(wecom: Caller, body: Json, errcode: int) -> None:
    assert errcode == (await detail(wecom, body))["errcode"]


async def test_a_user_ticket_is_none_of_another_app(wecom: Caller, world: World) -> None:
    user = await wecom.user_info(world.people.login_code(OWN, "zhangsan", privateinfo=True))
    refusal = await detail(wecom, {"user_ticket": user["user_ticket"]}, await wecom.child_token())

    assert 84015 == refusal["errcode"]


async def test_a_child_s_member_is_read_with_the_child_s_token_only(wecom: Caller, world: World) -> None:
    name = (await wecom.user_info(world.people.login_code(GROUP, "lisi")))["userid"].partition("/")[2]
    parent, child = await wecom.token(), await wecom.child_token()

    assert "李四" == (await wecom.get(USER_GET, access_token=child, userid=name))["name"]
    assert 60111 == (await wecom.get(USER_GET, access_token=parent, userid=name))["errcode"]


async def test_in_the_supply_chain_a_member_is_read_by_the_encrypted_userid_only(
    wecom: Caller, world: World
) -> None:
    name = (await wecom.user_info(world.people.login_code(CHAIN, "wangwu")))["userid"].partition("/")[2]
    token = await wecom.child_token(**SUPPLIER)
    member = await wecom.get(USER_GET, access_token=token, userid=name)

    assert ("王五", name) == (member["name"], member["userid"])
    assert 60111 == (await wecom.get(USER_GET, access_token=token, userid="wangwu"))["errcode"]


async def test_people_log_in_from_outside(wecom: Caller) -> None:
    await wecom.control("POST", "settings", {"code_lifetime": 9, "used_code_errcode": 40029})
    member = {"corpid": CHAIN, "userid": "wangwu", "business_type": 1}
    app = {"app_corpid": OWN, "app_agentid": 1000002}
    _, login = await wecom.control("POST", "login_codes", {**member, **app, "privateinfo": True})
    _, mini = await wecom.control("POST", "js_codes", member)
    _, visitor = await wecom.control("POST", "visitor_codes", {"openid": "o1"})

    assert (await wecom.user_info(login["code"]))["userid"].startswith(f"{CHAIN}/wo")
    assert "o1" == (await wecom.user_info(visitor["code"]))["openid"]
    assert CHAIN == (await wecom.mini_session(mini["code"]))["corpid"]
    await wecom.control("POST", "clock", {"seconds": 9})
    assert (
        40029 == (await wecom.get(USER_INFO, access_token=await wecom.token(), code=login["code"]))["errcode"]
    )


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("login_codes", {"corpid": OWN}, "userid"),
        ("login_codes", {"corpid": "ww9nobody", "userid": "a"}, "corpid"),
        ("login_codes", {"corpid": OWN, "userid": "a", "privateinfo": 1}, "privateinfo"),
        ("login_codes", {"corpid": OWN, "userid": "a", "app_corpid": OWN}, "app_agentid"),
        ("js_codes", {"corpid": OWN, "userid": "a", "business_type": 2}, "business_type"),
        ("js_codes", {"corpid": OWN, "userid": "a", "privateinfo": True}, "privateinfo"),
        ("visitor_codes", {}, "openid"),
        ("kill_tickets", {**CHILD, "kind": "both"}, "kind"),
        ("settings", {"code_lifetime": -1}, "code_lifetime"),
        ("settings", {"tickets_an_hour_of_an_app": -1}, "tickets_an_hour_of_an_app"),
        ("settings", {"supply_chain_userids_encrypted": 1}, "supply_chain_userids_encrypted"),
    ],
)
async def test_a_mistake_from_outside_is_named(wecom: Caller, name: str, body: Json, field: str) -> None:
    status, answer = await wecom.control("POST", name, body)

    assert (400, field) == (status, answer["field"])
