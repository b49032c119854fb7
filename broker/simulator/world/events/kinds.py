"""The kinds of events and messages that WeCom sends (wecom-api C4)."""

from enum import StrEnum


class EventKind(StrEnum):
    """Name a kind by its Event, MsgType or InfoType.

    `suite_` and `provider_` mark a suite's or a provider's where another has that name.
    """

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
    CHANGE_CONTACT = "change_contact"
    CHANGE_EXTERNAL_CONTACT = "change_external_contact"
    CORP_ARCH_AUTH = "corp_arch_auth"
    APPROVE_SPECIAL_AUTH = "approve_special_auth"
    CANCEL_SPECIAL_AUTH = "cancel_special_auth"
    AUTH_DATA_PERMISSION = "auth_data_permission"
    EXPIRE_REMIND_DATA_PERMISSION = "expire_remind_data_permission"
    OPEN_ORDER = "open_order"
    CHANGE_ORDER = "change_order"
    PAY_FOR_APP_SUCCESS = "pay_for_app_success"
    REFUND = "refund"
    CANCEL_ORDER = "cancel_order"
    SUITE_BATCH_JOB_RESULT = "suite_batch_job_result"
    SUITE_SHARE_AGENT_CHANGE = "suite_share_agent_change"
    SUITE_SHARE_CHAIN_CHANGE = "suite_share_chain_change"
    UNLICENSED_NOTIFY = "unlicensed_notify"
    REGISTER_CORP = "register_corp"
    LICENSE_PAY_SUCCESS = "license_pay_success"
    LICENSE_REFUND = "license_refund"
    AUTO_ACTIVATE = "auto_activate"
    AGREE_EXTERNAL_USERID_MIGRATION = "agree_external_userid_migration"
    PROVIDER_BATCH_JOB_RESULT = "provider_batch_job_result"

    @property
    def wire_name(self) -> str:
        """Return the name that WeCom writes."""
        return self.removeprefix("suite_").removeprefix("provider_") if self in _MARKED else self.value


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
_MARKED = SHARES_OF_SUITES | {EventKind.SUITE_BATCH_JOB_RESULT, EventKind.PROVIDER_BATCH_JOB_RESULT}
AUTHORIZATIONS = frozenset({EventKind.CREATE_AUTH, EventKind.CHANGE_AUTH, EventKind.CANCEL_AUTH})
"""Change an authorisation (授权通知事件)."""
ANSWERED_AT_ONCE = AUTHORIZATIONS | {
    EventKind.RESET_PERMANENT_CODE,
    EventKind.AGREE_EXTERNAL_USERID_MIGRATION,
}
"""Have to be answered within 1 s, or are sent again (wecom-api B15, C1, G21)."""
ORDERS = frozenset(
    {EventKind.OPEN_ORDER, EventKind.CHANGE_ORDER, EventKind.PAY_FOR_APP_SUCCESS}
    | {EventKind.REFUND, EventKind.CANCEL_ORDER}
)
"""A corp orders or pays for a suite."""
PERMISSIONS = frozenset(
    {EventKind.APPROVE_SPECIAL_AUTH, EventKind.CANCEL_SPECIAL_AUTH}
    | {EventKind.AUTH_DATA_PERMISSION, EventKind.EXPIRE_REMIND_DATA_PERMISSION}
)
"""A corp grants or takes back single permissions, or they are about to end."""
COMMANDS = (
    SHARES_OF_SUITES
    | AUTHORIZATIONS
    | ORDERS
    | PERMISSIONS
    | {EventKind.SUITE_TICKET, EventKind.RESET_PERMANENT_CODE, EventKind.CHANGE_EDITON}
    | {EventKind.CHANGE_CONTACT, EventKind.CHANGE_EXTERNAL_CONTACT, EventKind.CORP_ARCH_AUTH}
    | {EventKind.SUITE_BATCH_JOB_RESULT}
)
"""Sent to the command callback (指令回调) of a suite: sealed for the suite, answered with `success` alone."""
SYSTEM = frozenset(
    {EventKind.REGISTER_CORP, EventKind.LICENSE_PAY_SUCCESS, EventKind.LICENSE_REFUND}
    | {EventKind.AUTO_ACTIVATE, EventKind.AGREE_EXTERNAL_USERID_MIGRATION}
    | {EventKind.PROVIDER_BATCH_JOB_RESULT}
)
"""Sent to the provider's URL for system events (系统事件接收URL), which is not a suite's (wecom-api C1)."""
OF_ROBOT = frozenset({EventKind.TEXT, EventKind.ENTER_AGENT})
"""Also sent to smart robots (智能机器人)."""
OF_PARENT = frozenset(
    {EventKind.SHARE_AGENT_CHANGE, EventKind.SHARE_CHAIN_CHANGE, EventKind.CHANGE_CHAIN} | SHARES_OF_SUITES
)
"""These come from the parent corp, not from the child that they are about."""
OF_MEMBER = frozenset(
    {EventKind.SUBSCRIBE, EventKind.UNSUBSCRIBE, EventKind.ENTER_AGENT, EventKind.TEXT}
    | {EventKind.REOPEN_INACTIVE_AGENT, EventKind.UNLICENSED_NOTIFY}
)
"""Caused by a member; the others come from `sys`."""
