"""Messages of an app to members (应用消息)."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.tokens import AppToken

_EVERYBODY = "@all"


@endpoint("POST", "/cgi-bin/message/send", token=AppToken)
def message_send(world: World, call: Call) -> Answer:
    """Send to members of the token's corp; a child's members are not members of the parent."""
    if not call.owner.app.agentid:
        raise Refusal(48002)
    if call.agentid() != call.owner.app.agentid:
        raise Refusal(301002)
    if not (kind := call.text("msgtype")) or not isinstance(call.body.get(kind), dict):
        raise Refusal(40008)
    names = [name for name in call.text("touser").split("|") if name]
    corp = world.corps.find(call.owner.app.corpid)
    unknown = [
        name
        for name in names
        if name != _EVERYBODY and (corp is None or world.userids.find(corp, call.owner, name) is None)
    ]
    if len(unknown) == len(names):
        raise Refusal(81013)
    return {
        "invaliduser": "|".join(unknown),
        "invalidparty": "",
        "invalidtag": "",
        "msgid": world.hint(),
    }
