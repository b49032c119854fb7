"""Secrets without an app, as 通讯录同步 has one: agentid 0 (wecom-api A1)."""

import pytest

from broker.simulator import World, demo
from tests.simulator.caller import LIST_SHARES, MESSAGE_SEND, Caller

SECRET = "secret-of-the-contacts"


@pytest.fixture
async def token(wecom: Caller, world: World) -> str:
    world.add_app(demo.PARENT.corpid, 0, SECRET, name="通讯录同步")
    return str((await wecom.gettoken(corpsecret=SECRET))["access_token"])


async def test_they_read_members(wecom: Caller, token: str) -> None:
    answer = await wecom.get("/cgi-bin/user/get", access_token=token, userid="zhangsan")

    assert ("zhangsan", 0) == (answer["userid"], answer["errcode"])


async def test_they_send_no_messages(wecom: Caller, token: str) -> None:
    body = {"touser": "zhangsan", "msgtype": "text", "text": {"content": "hi"}, "agentid": 0}

    assert 48002 == (await wecom.post(MESSAGE_SEND, body, access_token=token))["errcode"]


async def test_they_log_nobody_in_and_spend_no_code(wecom: Caller, world: World, token: str) -> None:
    code = world.people.login_code(demo.PARENT.corpid, "zhangsan")

    assert 48002 == (await wecom.user_info(code, token))["errcode"]
    assert "zhangsan" == (await wecom.user_info(code))["userid"]


async def test_they_share_nothing(wecom: Caller, token: str) -> None:
    body = {"agentid": demo.PARENT.agentid}

    assert 301002 == (await wecom.post(LIST_SHARES, body, access_token=token))["errcode"]
