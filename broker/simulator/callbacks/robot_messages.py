"""The messages to a smart robot (智能机器人), which have a JSON form of their own (wecom-api C2)."""

import json

from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import EventKind

ROBOT_ID = "aib-demo"


def robot_message(event: Event) -> bytes:
    """Write the message; only the kinds in `OF_ROBOT` have one."""
    text = {"msgtype": "text", "text": {"content": event.text}}
    opened = {"msgtype": "event", "event": {"eventtype": "enter_chat", "enter_chat": {}}}
    fields = {
        "msgid": f"m-{event.message_id}",
        "aibotid": ROBOT_ID,
        "chattype": "single",
        "from": {"userid": event.userid},
        **(text if event.kind is EventKind.TEXT else {"create_time": event.at, **opened}),
        "response_url": f"https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code={event.code}",
    }
    return json.dumps(fields, ensure_ascii=False).encode(errors="replace")
