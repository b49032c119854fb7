"""Mini-program sessions: the parent's, and the child's made from it."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.domain.secret import Secret
from broker.protocol.mini_program import check_watermark, decrypt_data, signature_valid
from broker.simulator import AppId, World, demo
from broker.simulator.world.people.mini_program import APP_ID, sign_data
from broker.simulator.world.people.userids import encrypted_userid
from tests.simulator.caller import CHILD, SUPPLIER, TRANSFER_SESSION, Caller, FakeClock, Json

OWN, GROUP, CHAIN = demo.PARENT.corpid, str(CHILD["corpid"]), str(SUPPLIER["corpid"])


async def test_an_own_member_is_named_plainly(wecom: Caller, world: World) -> None:
    session = await wecom.mini_session(world.people.js_code(OWN, "zhangsan"))

    assert ["errcode", "errmsg", "corpid", "userid", "session_key"] == list(session)
    assert (OWN, "zhangsan", 24) == (session["corpid"], session["userid"], len(session["session_key"]))
    assert session["session_key"] == world.people.session_key_of(OWN, "zhangsan")


@pytest.mark.parametrize(("child", "userid"), [(CHILD, "lisi"), (SUPPLIER, "wangwu")])
async def test_a_child_s_member_is_encrypted_until_the_session_is_the_child_s(
    wecom: Caller, world: World, child: Json, userid: str
) -> None:
    corpid = child["corpid"]
    encrypted = encrypted_userid(demo.PARENT, corpid, userid)
    parent = await wecom.mini_session(world.people.js_code(corpid, userid))

    assert (corpid, encrypted) == (parent["corpid"], parent["userid"])

    token = await wecom.child_token(**child)
    session = await wecom.transfer(token, parent["userid"], parent["session_key"])

    assert ["errcode", "errmsg", "userid", "session_key"] == list(session)
    assert (userid if child is CHILD else encrypted) == session["userid"]
    assert parent["session_key"] != session["session_key"] == world.people.session_key_of(corpid, userid)
    assert session == await wecom.transfer(token, parent["userid"], parent["session_key"])


async def test_only_the_child_s_token_with_the_parent_s_session_transfers(
    wecom: Caller, world: World
) -> None:
    parent = await wecom.mini_session(world.people.js_code(GROUP, "lisi"))
    userid, key = parent["userid"], parent["session_key"]
    child = await wecom.child_token()
    other_child = await wecom.child_token(corpid="ww1child000000002", agentid=1000011)
    done = await wecom.transfer(child, userid, key)

    assert 0 == done["errcode"]
    assert 48002 == (await wecom.transfer(await wecom.token(), userid, key))["errcode"]
    assert 40003 == (await wecom.transfer(other_child, userid, key))["errcode"]
    assert 40003 == (await wecom.transfer(child, "lisi", key))["errcode"]
    assert 42013 == (await wecom.transfer(child, userid, done["session_key"]))["errcode"]


async def test_a_session_of_another_parent_app_is_refused(wecom: Caller, world: World) -> None:
    another = AppId(OWN, 7)
    world.add_app(*another, "another")
    world.share(another, AppId(GROUP, 1000099))
    token = (await wecom.gettoken(corpsecret="another"))["access_token"]
    parent = await wecom.mini_session(world.people.js_code(GROUP, "lisi", another), token)
    refusal = await wecom.transfer(await wecom.child_token(), parent["userid"], parent["session_key"])

    assert 48002 == refusal["errcode"]


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, 41009),
        ({"userid": "wo"}, 40058),
        ({"userid": "wo", "session_key": 7}, 40058),
        ({"userid": "w" * 65, "session_key": "k"}, 40058),
        ({"userid": "\ud800", "session_key": "k"}, 42013),
        ({"userid": "wo", "session_key": "k"}, 42013),
    ],
)
async def test_what_is_missing_or_wrong_is_named(wecom: Caller, body: Json, errcode: int) -> None:
    refusal = await wecom.post(TRANSFER_SESSION, body, access_token=await wecom.child_token())

    assert errcode == refusal["errcode"]


async def test_a_js_code_works_once_within_five_minutes_for_its_app(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    code = world.people.js_code(GROUP, "lisi")
    assert 40014 == (await wecom.mini_session(code, await wecom.child_token()))["errcode"]
    assert 40058 == (await wecom.mini_session(code, grant_type="code"))["errcode"]
    assert 0 == (await wecom.mini_session(code))["errcode"]
    assert 42022 == (await wecom.mini_session(code))["errcode"]
    assert 4 == world.log.times_sent(code)

    late = world.people.js_code(GROUP, "lisi")
    clock.now += 300
    assert 42003 == (await wecom.mini_session(late))["errcode"]


@pytest.mark.parametrize("errcode", [40014, 90208])
async def test_an_app_that_the_mini_program_is_not_bound_to_is_refused_and_the_code_is_left(
    wecom: Caller, world: World, errcode: int
) -> None:
    await wecom.control("POST", "settings", {"unbound_app_errcode": errcode})
    world.add_app(OWN, 7, "another")
    another = (await wecom.gettoken(corpsecret="another"))["access_token"]
    code = world.people.js_code(GROUP, "lisi")

    assert errcode == (await wecom.mini_session(code, another))["errcode"]
    assert 0 == (await wecom.mini_session(code))["errcode"]


async def test_a_js_code_is_needed_and_no_page_s(wecom: Caller, world: World) -> None:
    assert 41008 == (await wecom.mini_session(""))["errcode"]
    assert 40029 == (await wecom.mini_session(world.people.login_code(OWN, "zhangsan")))["errcode"]


async def test_no_session_key_is_kept_in_the_log(wecom: Caller, world: World) -> None:
    parent = await wecom.mini_session(world.people.js_code(GROUP, "lisi"))
    await wecom.transfer(await wecom.child_token(), parent["userid"], parent["session_key"])

    assert parent["session_key"] not in repr(list(world.log.records))


async def test_what_the_mini_program_sends_is_read_with_its_session_key(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    key = Secret((await wecom.mini_session(world.people.js_code(GROUP, "lisi")))["session_key"])
    data, iv = world.people.encrypt_data(GROUP, "Lisi", {"mobile": "13800000000"})
    plaintext = decrypt_data(key, data, iv)
    check_watermark(plaintext, APP_ID, timedelta(minutes=1), datetime.fromtimestamp(clock.now, UTC))

    assert b"13800000000" in plaintext
    assert signature_valid(key, "raw", sign_data(key.reveal(), "raw"))


def test_nobody_s_session_is_not_there(world: World) -> None:
    with pytest.raises(LookupError, match="opened no session"):
        world.people.session_key_of(OWN, "zhangsan")


async def test_a_new_session_may_end_the_one_before(wecom: Caller, world: World) -> None:
    await wecom.control("POST", "settings", {"new_session_ends_last": True})
    first = await wecom.mini_session(world.people.js_code(GROUP, "lisi"))
    other = await wecom.mini_session(world.people.js_code(GROUP, "zhaoliu"))
    second = await wecom.mini_session(world.people.js_code(GROUP, "LiSi"))
    child = await wecom.child_token()

    assert 42013 == (await wecom.transfer(child, first["userid"], first["session_key"]))["errcode"]
    for session in (other, second):
        assert 0 == (await wecom.transfer(child, session["userid"], session["session_key"]))["errcode"]
