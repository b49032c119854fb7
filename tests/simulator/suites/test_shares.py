"""The share lists of suites' apps, and the children's tokens."""

import pytest

from broker.simulator import BusinessType, World
from broker.simulator import provider_demo as demo
from tests.simulator.caller import (
    CHILD_TOKEN,
    JS_CODE_TO_SESSION,
    LIST_SHARES,
    TRANSFER_SESSION,
    USER_GET,
    USER_INFO,
    Json,
)
from tests.simulator.suites.acme import CHILD, CORP_TOKEN, PARENT, Acme
from tests.simulator.suites.told import Told


@pytest.fixture(params=["market", "tailored"])
def suite(request: pytest.FixtureRequest, world: World) -> str:
    name = str(request.param)
    world.console.install(name, PARENT)
    world.console.install_by_share(name, PARENT, demo.children(2))
    return name


@pytest.fixture
def tailored(world: World) -> str:
    world.console.install("tailored", PARENT)
    world.console.install_by_share("tailored", PARENT, demo.children(2))
    return "tailored"


async def listed(acme: Acme, suite: str, **fields: object) -> Json:
    body = {"agentid": acme.world.console.app(suite, PARENT).agentid, **fields}
    return await acme.wecom.post(LIST_SHARES, body, access_token=await acme.corp_token(suite))


async def child_token(acme: Acme, suite: str = "tailored", **fields: object) -> Json:
    (first, *_) = (await listed(acme, suite))["corp_list"]
    body = {"corpid": first["corpid"], "agentid": first["agentid"], **fields}
    return await acme.wecom.post(CHILD_TOKEN, body, access_token=await acme.corp_token(suite))


async def test_the_parents_token_lists_the_children_by_the_ids_of_the_provider(
    acme: Acme, world: World, suite: str
) -> None:
    answer = await listed(acme, suite)
    corps = [world.corps.get(corpid) for corpid in demo.children(2)]

    assert 1 == answer["ending"]
    assert [(world.suites.provider("acme").corpid(corp.corpid), corp.name) for corp in corps] == [
        (child["corpid"], child["corp_name"]) for child in answer["corp_list"]
    ]


async def test_one_child_is_listed_by_that_id(acme: Acme, world: World, suite: str) -> None:
    known = world.suites.provider("acme").corpid(CHILD)

    assert [known] == [child["corpid"] for child in (await listed(acme, suite, corpid=known))["corp_list"]]


async def test_only_the_customized_apps_token_becomes_a_childs(acme: Acme, suite: str) -> None:
    assert (48002 if suite == "market" else 0) == (await child_token(acme, suite))["errcode"]


async def test_a_childs_token_acts_in_the_child(acme: Acme, world: World, tailored: str) -> None:
    token, provider = (await child_token(acme))["access_token"], world.suites.provider("acme")
    known = provider.userid(CHILD, "lisi")

    found = await acme.wecom.get(USER_GET, access_token=token, userid=known)
    assert known == found["userid"]
    assert 670001 == (await child_token(acme, business_type=1))["errcode"]
    assert 670004 == (await child_token(acme, corpid=demo.child(3)))["errcode"]


async def test_a_childs_member_logs_in_at_the_parents_app(acme: Acme, world: World, tailored: str) -> None:
    code, provider = (
        world.people.suite_login_code("tailored", CHILD, "lisi", parent=PARENT),
        world.suites.provider("acme"),
    )
    user = await acme.wecom.get(USER_INFO, access_token=await acme.corp_token("tailored"), code=code)

    assert f"{provider.corpid(CHILD)}/{provider.userid(CHILD, 'lisi')}" == user["userid"]


async def test_a_childs_mini_program_session_is_transferred(acme: Acme, world: World, tailored: str) -> None:
    code = world.people.suite_js_code("tailored", CHILD, "lisi", parent=PARENT)
    session = await acme.wecom.get(
        JS_CODE_TO_SESSION,
        access_token=await acme.corp_token("tailored"),
        js_code=code,
        grant_type="authorization_code",
    )
    body = {"userid": session["userid"], "session_key": session["session_key"]}
    child = await acme.wecom.post(
        TRANSFER_SESSION, body, access_token=(await child_token(acme))["access_token"]
    )

    assert world.suites.provider("acme").corpid(CHILD) == session["corpid"]
    assert session["userid"] == child["userid"]
    assert session["session_key"] != child["session_key"]


async def test_an_ended_share_of_a_customized_app_ends_the_childs_token(
    acme: Acme, world: World, told: Told, tailored: str
) -> None:
    token = (await child_token(acme))["access_token"]
    await told.all()
    world.console.unshare("tailored", PARENT, [CHILD])

    assert ["share_agent_change"] == await told.names()
    assert 40014 == (await acme.wecom.get("/cgi-bin/agent/list", access_token=token))["errcode"]
    assert 1 == len((await listed(acme, "tailored"))["corp_list"])


async def test_an_ended_share_of_a_third_party_app_cancels_the_childs_installation(
    acme: Acme, world: World, told: Told
) -> None:
    world.console.install("market", PARENT)
    world.console.install_by_share("market", PARENT, demo.children(2))
    await told.all()
    world.console.unshare("market", PARENT, [CHILD])
    names = await told.names()

    assert ["cancel_auth", "share_agent_change"] == sorted(names)
    assert 40084 == (await acme.about(CORP_TOKEN, CHILD))["errcode"]
    assert "access_token" in await acme.about(CORP_TOKEN, demo.child(2))
    assert 1 == len((await listed(acme, "market"))["corp_list"])


async def test_a_childs_event_goes_to_the_parents_own_url(world: World, told: Told, tailored: str) -> None:
    await told.all()
    (child, _) = world.shares.listed(world.console.app("tailored", PARENT), BusinessType.CORP_GROUP)
    world.console.send("tailored", "text", CHILD, userid="lisi", text="hi", parent=PARENT)
    got, provider = await told.one(), world.suites.provider("acme")

    assert f"/callback/tailored/{provider.corpid(PARENT)}" == got.path
    assert (provider.corpid(PARENT), provider.corpid(CHILD)) == (got.receive_id, got.text("ToUserName"))
    assert (provider.userid(CHILD, "lisi"), str(child.child.agentid)) == (
        got.text("FromUserName"),
        got.text("AgentID"),
    )
