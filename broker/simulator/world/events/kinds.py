"""The kinds of events and messages that WeCom sends (wecom-api C4)."""

from enum import StrEnum


class EventKind(StrEnum):
    """Name a kind by its Event, MsgType or InfoType; `suite_` marks a suite's where another has that name."""

    SHARE_AGENT_CHANGE = "share_agent_change"
    SHARE_CHAIN_CHANGE = "share_chain_change"
    CHANGE_CHAIN = "change_chain"
    CHANGE_APP_ADMIN = "change_app_admin"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    ENTER_AGENT = "enter_agent"
    TEXT = "text"
    INACTIVE_ALERT = "inactive_alert"
    CLOSE_INACTIVE_AGENT = "close_inactive_agent"
    REOPEN_INACTIVE_AGENT = "reopen_inactive_agent"
    LOW_ACTIVE_ALERT = "low_active_alert"
    LOW_ACTIVE = "low_active"
    ACTIVE_RESTORED = "active_restored"
    SUITE_TICKET = "suite_ticket"
    CREATE_AUTH = "create_auth"
    CHANGE_AUTH = "change_auth"
    CANCEL_AUTH = "cancel_auth"
    RESET_PERMANENT_CODE = "reset_permanent_code"
    CHANGE_EDITON = "change_editon"
    """Misspelt by WeCom."""
    SUITE_SHARE_AGENT_CHANGE = "suite_share_agent_change"
    SUITE_SHARE_CHAIN_CHANGE = "suite_share_chain_change"

    @property
    def wire_name(self) -> str:
        """Return the name that WeCom writes."""
        return self.removeprefix("suite_") if self in SHARES_OF_SUITES else self.value


class ChangeType(StrEnum):
    """Name the changes that a change_chain reports (doc 95796)."""

    CREATE_CHAIN = "create_chain"
    UPDATE_CHAIN = "update_chain"
    DELETE_CHAIN = "delete_chain"
    CREATE_GROUP = "create_group"
    UPDATE_GROUP = "update_group"
    DELETE_GROUP = "delete_group"
    CORP_JOIN = "corp_join"
    UPDATE_CORP = "update_corp"
    REMOVE_CORP = "remove_corp"


SHARES_OF_SUITES = frozenset({EventKind.SUITE_SHARE_AGENT_CHANGE, EventKind.SUITE_SHARE_CHAIN_CHANGE})
AUTHORIZATIONS = frozenset({EventKind.CREATE_AUTH, EventKind.CHANGE_AUTH, EventKind.CANCEL_AUTH})
"""Have to be answered within 1 s, or are sent again (wecom-api G21)."""
COMMANDS = (
    SHARES_OF_SUITES
    | AUTHORIZATIONS
    | {EventKind.SUITE_TICKET, EventKind.RESET_PERMANENT_CODE, EventKind.CHANGE_EDITON}
)
"""Sent to the command callback (指令回调) of a suite: sealed for the suite, answered with `success` alone."""
OF_ROBOT = frozenset({EventKind.TEXT, EventKind.ENTER_AGENT})
"""Also sent to smart robots (智能机器人)."""
OF_PARENT = frozenset(
    {EventKind.SHARE_AGENT_CHANGE, EventKind.SHARE_CHAIN_CHANGE, EventKind.CHANGE_CHAIN} | SHARES_OF_SUITES
)
"""These come from the parent corp, not from the child that they are about."""
OF_MEMBER = frozenset(
    {EventKind.SUBSCRIBE, EventKind.UNSUBSCRIBE, EventKind.ENTER_AGENT, EventKind.TEXT}
    | {EventKind.REOPEN_INACTIVE_AGENT}
)
"""Caused by a member; the others come from `sys`."""
