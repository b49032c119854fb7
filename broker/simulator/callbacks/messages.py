"""What is sealed in the envelopes: one small document for each kind of event (wecom-api C4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from broker.simulator.callbacks.cdata import (
    Raw,
    cdata_after_blank,
    cdata_without_beginning,
    cdata_without_ends,
    document,
    element,
)
from broker.simulator.callbacks.kinds import OF_MEMBER, OF_PARENT, ChangeType, EventKind
from broker.simulator.world.corps import AppId

_CHAIN = "Chain0001"
_NOTICE_SECONDS = 7 * 86400


@dataclass(frozen=True, slots=True)
class Occasion:
    """Hold what happened with a parent's app, at its place in a child corp or in the parent itself."""

    kind: EventKind
    app: AppId
    place: AppId
    at: int
    userid: str = ""
    """As the app is shown it."""
    suite_id: str = ""
    code: str = ""
    """A suite_ticket, or an auth_code."""
    text: str = ""
    message_id: int = 0
    change_type: ChangeType = ChangeType.CORP_JOIN

    @property
    def origin(self) -> AppId:
        """Give the app, and the corp, that the event comes from."""
        return self.app if self.kind in OF_PARENT else self.place


def message(occasion: Occasion, agentid: int) -> bytes:
    """Write the message; `agentid` is what it says as AgentID, where it has one."""
    return _WRITERS.get(occasion.kind, _event)(occasion, agentid).encode()


def _event(occasion: Occasion, agentid: int) -> str:
    return document(**_head(occasion), Event=occasion.kind.wire_name, AgentID=agentid)


def _menu_event(occasion: Occasion, agentid: int) -> str:
    return document(**_head(occasion), Event=occasion.kind.wire_name, EventKey="", AgentID=agentid)


def _alert(occasion: Occasion, agentid: int) -> str:
    effect = occasion.at + _NOTICE_SECONDS
    return document(**_head(occasion), Event=occasion.kind.wire_name, AgentID=agentid, EffectTime=effect)


def _text(occasion: Occasion, agentid: int) -> str:
    return document(
        **_head(occasion, "text"), Content=occasion.text, MsgId=occasion.message_id, AgentID=agentid
    )


def _chain(occasion: Occasion, _agentid: int) -> str:
    change = occasion.change_type
    # Of the nine samples, all malformed, one is sent as it is printed.
    write = cdata_without_ends if change is ChangeType.CORP_JOIN else str
    more: dict[str, str | int] = {}
    if change.endswith("_group"):
        more["GroupIds"] = Raw(element("GroupId", 5) + element("GroupId", 6))
    elif change not in (ChangeType.CREATE_CHAIN, ChangeType.UPDATE_CHAIN, ChangeType.DELETE_CHAIN):
        more["CorpIds"] = Raw(element("CorpId", write(occasion.place.corpid)))
    return document(
        **_head(occasion), Event="change_chain", ChangeType=change.value, ChainId=write(_CHAIN), **more
    )


def _head(occasion: Occasion, message_type: str = "event") -> dict[str, str | int]:
    return {
        "ToUserName": occasion.origin.corpid,
        "FromUserName": occasion.userid if occasion.kind in OF_MEMBER else "sys",
        "CreateTime": occasion.at,
        "MsgType": message_type,
    }


def _suite_ticket(occasion: Occasion, _agentid: int) -> str:
    return document(
        SuiteId=occasion.suite_id,
        InfoType=cdata_after_blank("suite_ticket"),
        TimeStamp=occasion.at,
        SuiteTicket=occasion.code,
    )


def _new_code(occasion: Occasion, _agentid: int) -> str:
    return document(
        SuiteId=occasion.suite_id,
        AuthCode=occasion.code,
        InfoType=occasion.kind.wire_name,
        TimeStamp=occasion.at,
        **({"State": "123"} if occasion.kind is EventKind.CREATE_AUTH else {}),
    )


def _changed_authorization(occasion: Occasion, _agentid: int) -> str:
    return document(
        SuiteId=occasion.suite_id,
        InfoType=occasion.kind.wire_name,
        TimeStamp=occasion.at,
        AuthCorpId=occasion.place.corpid,
        **({"State": "abc"} if occasion.kind is EventKind.CHANGE_AUTH else {}),
    )


def _edition(occasion: Occasion, _agentid: int) -> str:
    return document(
        SuiteId=occasion.suite_id,
        PaidCorpId=occasion.place.corpid,
        InfoType=occasion.kind.wire_name,
        TimeStamp=occasion.at,
    )


def _share_of_suite(occasion: Occasion, _agentid: int) -> str:
    return document(
        SuiteId=occasion.suite_id,
        InfoType=occasion.kind.wire_name,
        TimeStamp=occasion.at,
        AppId=1,
        CorpId=cdata_without_beginning(occasion.app.corpid),
        AgentId=occasion.app.agentid,
    )


_WRITERS: Mapping[EventKind, Callable[[Occasion, int], str]] = {
    EventKind.CHANGE_CHAIN: _chain,
    EventKind.ENTER_AGENT: _menu_event,
    EventKind.TEXT: _text,
    EventKind.INACTIVE_ALERT: _alert,
    EventKind.LOW_ACTIVE_ALERT: _alert,
    EventKind.SUITE_TICKET: _suite_ticket,
    EventKind.CREATE_AUTH: _new_code,
    EventKind.RESET_PERMANENT_CODE: _new_code,
    EventKind.CHANGE_AUTH: _changed_authorization,
    EventKind.CANCEL_AUTH: _changed_authorization,
    EventKind.CHANGE_EDITON: _edition,
    EventKind.SUITE_SHARE_AGENT_CHANGE: _share_of_suite,
    EventKind.SUITE_SHARE_CHAIN_CHANGE: _share_of_suite,
}
"""The kinds that are more than a plain event."""
