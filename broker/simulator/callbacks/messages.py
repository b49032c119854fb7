"""What is sealed in the envelopes: one small document for each kind of event (wecom-api C4)."""

from collections.abc import Callable, Mapping

from broker.simulator.callbacks.cdata import Raw, cdata_without_ends, document, element
from broker.simulator.callbacks.suite_messages import suite_message, system_message
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import COMMANDS, OF_MEMBER, SYSTEM, ChangeType, EventKind

_CHAIN = "Chain0001"
_NOTICE_SECONDS = 7 * 86400


def message(event: Event, agentid: int) -> bytes:
    """Write the message; `agentid` becomes its AgentID, where it has one."""
    if event.raw is not None:
        return event.raw
    if event.kind in COMMANDS:
        return suite_message(event).encode()
    if event.kind in SYSTEM:
        return system_message(event).encode()
    return _WRITERS.get(event.kind, _plain)(event, agentid).encode()


def _plain(event: Event, agentid: int) -> str:
    return document(**_head(event), Event=event.kind.wire_name, AgentID=agentid)


def _menu_event(event: Event, agentid: int) -> str:
    return document(**_head(event), Event=event.kind.wire_name, EventKey="", AgentID=agentid)


def _alert(event: Event, agentid: int) -> str:
    effect = event.at + _NOTICE_SECONDS
    return document(**_head(event), Event=event.kind.wire_name, AgentID=agentid, EffectTime=effect)


def _text(event: Event, agentid: int) -> str:
    return document(**_head(event, "text"), Content=event.text, MsgId=event.message_id, AgentID=agentid)


def _chain(event: Event, _agentid: int) -> str:
    change = event.change_type
    # WeCom's nine samples are all malformed; this one is sent as it is printed.
    write = cdata_without_ends if change is ChangeType.CORP_JOIN else str
    more: dict[str, str | int] = {}
    if change.endswith("_group"):
        more["GroupIds"] = Raw(element("GroupId", 5) + element("GroupId", 6))
    elif change not in (ChangeType.CREATE_CHAIN, ChangeType.UPDATE_CHAIN, ChangeType.DELETE_CHAIN):
        more["CorpIds"] = Raw(element("CorpId", write(event.place.corpid)))
    return document(
        **_head(event), Event="change_chain", ChangeType=change.value, ChainId=write(_CHAIN), **more
    )


def _head(event: Event, message_type: str = "event") -> dict[str, str | int]:
    return {
        "ToUserName": event.origin.corpid,
        "FromUserName": event.userid if event.kind in OF_MEMBER else "sys",
        "CreateTime": event.at,
        "MsgType": message_type,
    }


_WRITERS: Mapping[EventKind, Callable[[Event, int], str]] = {
    EventKind.CHANGE_CHAIN: _chain,
    EventKind.ENTER_AGENT: _menu_event,
    EventKind.TEXT: _text,
    EventKind.INACTIVE_ALERT: _alert,
    EventKind.LOW_ACTIVE_ALERT: _alert,
}
"""The kinds that have more fields than a plain event."""
