"""Messages of an app to members."""

import pytest

from broker.simulator import World, demo
from tests.simulator.caller import CHILD, MESSAGE_SEND, Caller, Json


def message(touser: str, agentid: object = demo.PARENT.agentid, **fields: object) -> Json:
    return {"touser": touser, "agentid": agentid, "msgtype": "text", "text": {"content": "hello"}, **fields}


async def test_a_child_s_member_gets_messages_with_the_child_s_token_only(wecom: Caller) -> None:
    parent, child = await wecom.token(), await wecom.child_token()
    sent = await wecom.post(MESSAGE_SEND, message("lisi", CHILD["agentid"]), access_token=child)
    refused = await wecom.post(MESSAGE_SEND, message("lisi"), access_token=parent)

    assert (0, "") == (sent["errcode"], sent["invaliduser"])
    assert 81013 == refused["errcode"]


async def test_who_is_unknown_among_the_receivers_is_told(wecom: Caller) -> None:
    sent = await wecom.post(MESSAGE_SEND, message("zhangsan|lisi|"), access_token=await wecom.token())

    assert (0, "lisi") == (sent["errcode"], sent["invaliduser"])
    assert sent["msgid"]


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (message("@all"), 0),
        (message(""), 81013),
        (message("zhangsan", agentid=7), 301002),
        (message("zhangsan", agentid="1000002"), 40056),
        (message("zhangsan", msgtype=""), 40008),
        (message("zhangsan", msgtype="image"), 40008),
        (message("zhangsan", text="hello"), 40008),
        ({**message("zhangsan"), "touser": ["zhangsan"]}, 40058),
    ],
)
async def test_what_is_wrong_is_named(wecom: Caller, world: World, body: Json, errcode: int) -> None:
    assert errcode == (await wecom.post(MESSAGE_SEND, body, access_token=await wecom.token()))["errcode"]
