"""Names as people's tools leave them: no JSON, or no UTF-8, in answers that are otherwise fine."""

import base64
import json

import pytest

from broker.simulator import AppId, Member, World, demo
from tests.simulator.caller import CHILD, LIST_SHARES, USER_DETAIL, USER_GET, Caller

ODD = {
    "control character": b"a\x14b",
    "newline": b"a\nb",
    "gbk": "华东".encode("gbk"),
    "lone surrogate": b"a\xed\xa0\xbdb",
    "escaped lone surrogate": rb"a\ud83db",
    "cut sequence": b"a\xe4\xbd",
}
odd = pytest.mark.parametrize("name", ODD.values(), ids=ODD)


async def body_of(wecom: Caller, method: str, path: str, **query: object) -> bytes:
    token = await wecom.token()
    body = {"agentid": demo.PARENT.agentid} if path == LIST_SHARES else query
    params = {"access_token": token, **({} if method == "POST" else query)}
    async with wecom.session.request(
        method, path, params={k: str(v) for k, v in params.items()}, json=body if method == "POST" else None
    ) as response:
        return await response.read()


@odd
async def test_a_child_has_it(wecom: Caller, world: World, name: bytes) -> None:
    world.share(demo.PARENT, AppId(str(CHILD["corpid"]), 1000010), corp_name=name)
    body = await body_of(wecom, "POST", LIST_SHARES)

    assert b'"corp_name":"' + name + b'"' in body
    assert 5 == body.count(b'"corpid"')


@odd
async def test_a_member_has_it(wecom: Caller, world: World, name: bytes) -> None:
    member = Member("odd", name, position=name, address=name)
    world.corps.get(demo.PARENT.corpid).add_member(member)
    shown = await body_of(wecom, "GET", USER_GET, userid="odd")
    code = world.people.login_code(demo.PARENT.corpid, "odd", privateinfo=True)
    ticket = (await wecom.user_info(code))["user_ticket"]
    detail = await body_of(wecom, "POST", USER_DETAIL, user_ticket=ticket)

    assert b'"name":"' + name + b'"' in shown
    assert b'"position":"' + name + b'"' in shown
    assert b'"address":"' + name + b'"' in detail


@odd
async def test_the_control_api_gives_it_and_shows_what_can_be_shown(wecom: Caller, name: bytes) -> None:
    encoded = base64.b64encode(name).decode()
    parent = {"parent_corpid": demo.PARENT.corpid, "parent_agentid": demo.PARENT.agentid}
    assert (200, {}) == await wecom.control(
        "POST", "shares", {**parent, **CHILD, "corp_name_base64": encoded}
    )
    body = await body_of(wecom, "POST", LIST_SHARES)
    status, shown = await wecom.control("GET", "world")

    assert b'"corp_name":"' + name + b'"' in body
    assert (200, name.decode(errors="replace")) == (
        status,
        next(corp["name"] for corp in shown["corps"] if corp["corpid"] == CHILD["corpid"]),
    )


async def test_the_control_api_adds_members(wecom: Caller) -> None:
    member = {
        "corpid": demo.PARENT.corpid,
        "userid": "New",
        "name_base64": base64.b64encode(b"a\x14").decode(),
    }
    assert (200, {}) == await wecom.control("POST", "members", {**member, "position": "经理"})
    shown = json.loads(await body_of(wecom, "GET", USER_GET, userid="new"), strict=False)

    assert ("New", "a\x14", "经理") == (shown["userid"], shown["name"], shown["position"])
    status, mistake = await wecom.control("POST", "members", {**member, "corpid": "ww0nobody"})
    assert (400, "corpid") == (status, mistake["field"])


async def test_corps_are_renamed_to_it(wecom: Caller, world: World) -> None:
    await wecom.control(
        "POST", "corps", {"corpid": CHILD["corpid"], "name_base64": base64.b64encode(b"\x00").decode()}
    )

    assert b"\x00" == world.corps.get(str(CHILD["corpid"])).name
