"""What is sealed for suites and providers: documents with an InfoType (wecom-api C4)."""

from collections.abc import Callable, Mapping

from broker.simulator.callbacks.cdata import (
    Raw,
    cdata_after_blank,
    cdata_without_beginning,
    cdata_without_ends,
    document,
    element,
)
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import ORDERS, PERMISSIONS, EventKind
from broker.simulator.world.settings import ShareCdata

_CDATA: Mapping[ShareCdata, Callable[[str], str]] = {
    ShareCdata.WELL_FORMED: str,
    ShareCdata.WITHOUT_BEGINNING: cdata_without_beginning,
    ShareCdata.WITHOUT_ENDS: cdata_without_ends,
}
_ORDER = "OI0000017C5A2D"
_YEAR = 365 * 86400


def suite_message(event: Event) -> str:
    """Write what a suite's command callback gets."""
    if event.kind in ORDERS:
        return _order(event)
    if event.kind in PERMISSIONS:
        return _permission(event)
    return _OF_SUITES.get(event.kind, _about_corp)(event)


def system_message(event: Event) -> str:
    """Write what a provider's URL for system events gets."""
    head = {"ServiceCorpId": event.app.corpid, "InfoType": event.kind.wire_name}
    return document(**head, **_OF_PROVIDERS[event.kind](event))


def _suite_ticket(event: Event) -> str:
    return document(
        SuiteId=event.suite_id,
        InfoType=cdata_after_blank("suite_ticket"),
        TimeStamp=event.at,
        SuiteTicket=event.code,
    )


def _new_authorization(event: Event) -> str:
    return document(
        SuiteId=event.suite_id,
        AuthCode=event.code,
        InfoType=event.kind.wire_name,
        TimeStamp=event.at,
        State=event.state,
        ExtraInfo=Raw(""),
    )


def _new_code(event: Event) -> str:
    return document(
        SuiteId=event.suite_id, AuthCode=event.code, InfoType=event.kind.wire_name, TimeStamp=event.at
    )


def _changed_authorization(event: Event) -> str:
    return document(**_head(event), AuthCorpId=event.place.corpid, State=event.state)


def _cancelled_authorization(event: Event) -> str:
    return document(**_head(event), AuthCorpId=event.place.corpid)


def _edition(event: Event) -> str:
    return document(
        SuiteId=event.suite_id,
        PaidCorpId=event.place.corpid,
        InfoType=event.kind.wire_name,
        TimeStamp=event.at,
    )


def _share(event: Event) -> str:
    write = _CDATA[event.share_cdata]
    return document(**_head(event), AppId=1, CorpId=write(event.app.corpid), AgentId=event.app.agentid)


def _contact(event: Event) -> str:
    change = event.detail or "update_user"
    renamed = {"NewUserID": event.userid} if change == "update_user" else {}
    return document(
        **_head_with_corp(event),
        ChangeType=change,
        UserID=event.userid,
        **renamed,
        OpenUserID=event.userid,
    )


def _about_corp(event: Event) -> str:
    return document(**_head_with_corp(event))


def _permission(event: Event) -> str:
    special = event.kind in (EventKind.APPROVE_SPECIAL_AUTH, EventKind.CANCEL_SPECIAL_AUTH)
    usual = "customer_acquisition" if special else "data_zone_chat"
    return document(**_head_with_corp(event), AuthType=event.detail or usual)


def _order(event: Event) -> str:
    return document(**_head(event), PaidCorpId=event.place.corpid, OrderId=event.detail or _ORDER)


def _batch_job(event: Event) -> str:
    return document(**_head_with_corp(event), BatchJob=_job("export_user"))


def _head(event: Event) -> dict[str, str | int]:
    return {"SuiteId": event.suite_id, "InfoType": event.kind.wire_name, "TimeStamp": event.at}


def _head_with_corp(event: Event) -> dict[str, str | int]:
    head = {"SuiteId": event.suite_id, "AuthCorpId": event.place.corpid, "InfoType": event.kind.wire_name}
    return {**head, "TimeStamp": event.at}


def _job(kind: str) -> Raw:
    fields = (
        element("JobId", "job-1"),
        element("JobType", kind),
        element("ErrCode", 0),
        element("ErrMsg", "ok"),
    )
    return Raw("".join(fields))


def _register(event: Event) -> dict[str, str | int]:
    token = element("AccessToken", event.code) + element("ExpiresIn", 1800)
    return {
        "TimeStamp": event.at,
        "RegisterCode": "RC9v",
        "AuthCorpId": event.place.corpid,
        "ContactSync": Raw(token),
        "AuthUserInfo": Raw(element("UserId", "owner")),
        "State": event.state,
        "TemplateId": "tpl9",
    }


def _licence_paid(event: Event) -> dict[str, str | int]:
    return {
        "AuthCorpId": event.place.corpid,
        "OrderId": event.detail or _ORDER,
        "BuyerUserId": "ops01",
        "TimeStamp": event.at,
    }


def _licence_refunded(event: Event) -> dict[str, str | int]:
    return {
        "AuthCorpId": event.place.corpid,
        "OrderId": event.detail or _ORDER,
        "OrderStatus": 1,
        "TimeStamp": event.at,
    }


def _activated(event: Event) -> dict[str, str | int]:
    account = (
        element("ActiveCode", "LC7Q2"),
        element("Type", 1),
        element("ExpireTime", event.at + _YEAR),
        element("UserId", event.userid),
        element("PreviousStatus", 1),
    )
    return {
        "AuthCorpId": event.place.corpid,
        "Scene": 1,
        "TimeStamp": event.at,
        "AccountList": Raw("".join(account)),
    }


def _migration(event: Event) -> dict[str, str | int]:
    return {"AuthCorpId": event.place.corpid, "TimeStamp": event.at}


def _provider_job(event: Event) -> dict[str, str | int]:
    return {
        "AuthCorpId": event.place.corpid,
        "TimeStamp": event.at,
        "BatchJob": _job("contact_id_translate"),
    }


_OF_SUITES: Mapping[EventKind, Callable[[Event], str]] = {
    EventKind.SUITE_TICKET: _suite_ticket,
    EventKind.CREATE_AUTH: _new_authorization,
    EventKind.RESET_PERMANENT_CODE: _new_code,
    EventKind.CHANGE_AUTH: _changed_authorization,
    EventKind.CANCEL_AUTH: _cancelled_authorization,
    EventKind.CHANGE_EDITON: _edition,
    EventKind.SUITE_SHARE_AGENT_CHANGE: _share,
    EventKind.SUITE_SHARE_CHAIN_CHANGE: _share,
    EventKind.CHANGE_CONTACT: _contact,
    EventKind.SUITE_BATCH_JOB_RESULT: _batch_job,
}
"""The kinds that have more fields than the corp."""
_OF_PROVIDERS: Mapping[EventKind, Callable[[Event], dict[str, str | int]]] = {
    EventKind.REGISTER_CORP: _register,
    EventKind.LICENSE_PAY_SUCCESS: _licence_paid,
    EventKind.LICENSE_REFUND: _licence_refunded,
    EventKind.AUTO_ACTIVATE: _activated,
    EventKind.AGREE_EXTERNAL_USERID_MIGRATION: _migration,
    EventKind.PROVIDER_BATCH_JOB_RESULT: _provider_job,
}
