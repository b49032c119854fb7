"""Tickets, authorisations and auth_codes of suites, beside the records of them."""

from dataclasses import replace
from datetime import timedelta

from broker.adapters.storage import suite_codecs
from broker.domain.corps import ShareKind
from broker.domain.ports.store import Record
from broker.domain.secret import Secret
from broker.domain.suites.authorization import (
    AuthMode,
    Authorization,
    AuthorizationState,
    AuthorizedAgent,
    Edition,
    Permission,
    SharedFrom,
)
from broker.domain.suites.installation import Installation, InstallationState
from broker.domain.suites.ticket import SuiteTicket
from tests.unit.adapters.kept import AT, FLAG, MAYBE_TEXT, MOMENT, NUMBER, SECRET, TEXT, Kept

SECOND = AT.replace(microsecond=0)
CODE_HASH = "0123456789abcdef0123456789abcdef01234567"
MAYBE_SECRET = SECRET[1:]
MAYBE_MOMENT = MOMENT[1:]
STATE = (*TEXT, "", "a state of 2030")
AGENT = {"agent_id": 7, "name": "", "edition": None, "shared_from": None, "permissions": []}
EDITION = {
    "edition_id": "1",
    "edition_name": "",
    "app_status": 1,
    "user_limit": 1,
    "expires_at": None,
    "shared_from_other_corp": True,
}

TICKET = Kept(
    suite_codecs.SUITE_TICKETS,
    "crm",
    SuiteTicket("crm", Secret('ticket-中"en'), SECOND),
    Record(
        "suite_ticket:crm",
        1772438401,
        b'{"value": "ticket-\\u4e2d\\"en", "pushed_at": 1772438401.0}',
        SECOND + timedelta(days=1),
        durable=True,
    ),
    {"value": SECRET, "pushed_at": (*MOMENT, 1772438400.0, 1772438402.0)},
)
AUTHORIZATION = Kept(
    suite_codecs.AUTHORIZATIONS,
    ("crm", "wpABC"),
    Authorization(
        "crm",
        "wpABC",
        1772438401124,
        AuthorizationState.ACTIVE,
        Secret("code-中"),
        CODE_HASH,
        SECOND,
        AT,
        "示例",
        (
            AuthorizedAgent(
                7,
                "CRM",
                Edition("sp1", "pro", 2, 200, AT + timedelta(days=365), shared_from_other_corp=True),
                SharedFrom("wpPARENT", ShareKind.SUPPLY_CHAIN),
                (Permission("contact:base"), Permission("doc:read", AT + timedelta(days=90))),
            ),
            AuthorizedAgent(8),
        ),
        AuthMode.MEMBER,
        "zhangsan",
        "state-1",
        "none",
        shares=True,
    ),
    Record(
        "authorization:crm:wpABC",
        1772438401124,
        b'{"state": "active", "permanent_code": "code-\\u4e2d",'
        b' "code_hash": "0123456789abcdef0123456789abcdef01234567", "installed_at": 1772438401.0,'
        b' "updated_at": 1772438401.123456, "corp_name": "\\u793a\\u4f8b", "agents": [{"agent_id": 7,'
        b' "name": "CRM", "edition": {"edition_id": "sp1", "edition_name": "pro", "app_status": 2,'
        b' "user_limit": 200, "expires_at": 1803974401.123456, "shared_from_other_corp": true},'
        b' "shared_from": {"corp_id": "wpPARENT", "share_kind": "supply_chain"}, "permissions":'
        b' [["contact:base", null], ["doc:read", 1780214401.123456]]}, {"agent_id": 8, "name": "",'
        b' "edition": null, "shared_from": null, "permissions": []}], "auth_mode": "member",'
        b' "installer_user_id": "zhangsan", "install_state": "state-1", "problem": "none", "shares": true,'
        b' "is_stale": false, "cancelled_at": null,'
        b' "code_fence": 0, "are_children_stale": false}',
        suite_codecs.FOR_EVER,
        durable=True,
    ),
    {
        "state": STATE,
        "permanent_code": SECRET,
        **dict.fromkeys(("code_hash", "corp_name", "installer_user_id", "install_state", "problem"), TEXT),
        "installed_at": MOMENT,
        "updated_at": MOMENT,
        "agents": (
            None,
            {},
            "x",
            [5],
            [{}],
            [{**AGENT, "agent_id": "7"}],
            [{**AGENT, "name": None}],
            [{**AGENT, "edition": []}],
            *([{**AGENT, "edition": {**EDITION, "expires_at": moment}}] for moment in MAYBE_MOMENT),
            *([{**AGENT, "edition": {**EDITION, "app_status": number}}] for number in NUMBER),
            *([{**AGENT, "edition": {**EDITION, "user_limit": number}}] for number in NUMBER),
            *([{**AGENT, "edition": {**EDITION, "shared_from_other_corp": flag}}] for flag in FLAG),
            [{**AGENT, "shared_from": {"corp_id": "ww1"}}],
            [{**AGENT, "shared_from": {"corp_id": "ww1", "share_kind": "a kind of 2030"}}],
            *(
                [{**AGENT, "permissions": bad}]
                for bad in (None, {}, ["a"], [["a"]], [["a", None, 1]], [[1, None]])
            ),
            *([{**AGENT, "permissions": [["a", moment]]}] for moment in MAYBE_MOMENT),
        ),
        "auth_mode": (*MAYBE_TEXT, "", "a mode of 2030"),
        **dict.fromkeys(("shares", "are_children_stale"), FLAG),
    },
)
CANCELLED = Kept(
    suite_codecs.AUTHORIZATIONS,
    ("crm", "wpABC"),
    Authorization(
        "crm",
        "wpABC",
        1772438401124,
        AuthorizationState.CANCELLED,
        None,
        CODE_HASH,
        SECOND,
        AT,
        problem="gone",
    ),
    Record(
        "authorization:crm:wpABC",
        1772438401124,
        b'{"state": "cancelled", "permanent_code": null,'
        b' "code_hash": "0123456789abcdef0123456789abcdef01234567", "installed_at": 1772438401.0,'
        b' "updated_at": 1772438401.123456, "corp_name": "", "agents": [], "auth_mode": null,'
        b' "installer_user_id": "", "install_state": "", "problem": "gone", "shares": false,'
        b' "is_stale": false, "cancelled_at": null,'
        b' "code_fence": 0, "are_children_stale": false}',
        AT + timedelta(days=30),
        durable=True,
    ),
    {"permanent_code": (*MAYBE_SECRET, "code")},
)
REFUSED = replace(
    AUTHORIZATION,
    value=replace(AUTHORIZATION.value, state=AuthorizationState.REAUTHORIZATION_REQUIRED),
    record=replace(
        AUTHORIZATION.record,
        payload=AUTHORIZATION.record.payload.replace(b'"active"', b'"reauthorization_required"'),
    ),
    damage={"permanent_code": SECRET},
)
TAKEN = Kept(
    suite_codecs.INSTALLATIONS,
    ("crm", CODE_HASH),
    Installation(
        "crm",
        CODE_HASH,
        1,
        InstallationState.TAKEN,
        Secret("auth-code"),
        is_reset=True,
        install_state="state-1",
        taken_at=SECOND,
    ),
    Record(
        f"installation:crm:{CODE_HASH}",
        1,
        b'{"state": "taken", "auth_code": "auth-code", "is_reset": true, "install_state": "state-1",'
        b' "taken_at": 1772438401.0, "sent_at": null, "corp_id": "", "problem": ""}',
        SECOND + timedelta(days=30),
        durable=True,
    ),
    {
        "state": STATE,
        "auth_code": SECRET,
        "is_reset": FLAG,
        **dict.fromkeys(("install_state", "corp_id", "problem"), TEXT),
        "taken_at": MOMENT,
        "sent_at": MAYBE_MOMENT,
    },
)
SENT = replace(
    TAKEN,
    value=replace(TAKEN.value, state=InstallationState.SENT, fence=1772438401124, sent_at=AT),
    record=replace(
        TAKEN.record,
        fence=1772438401124,
        payload=TAKEN.record.payload.replace(b'"taken"', b'"sent"').replace(
            b'"sent_at": null', b'"sent_at": 1772438401.123456'
        ),
    ),
    damage={"auth_code": SECRET},
)
DONE = replace(
    SENT,
    value=replace(SENT.value, state=InstallationState.DONE, auth_code=None, corp_id="wpABC"),
    record=replace(
        SENT.record,
        payload=SENT.record.payload.replace(b'"state": "sent"', b'"state": "done"')
        .replace(b'"auth-code"', b"null")
        .replace(b'"corp_id": ""', b'"corp_id": "wpABC"'),
    ),
    damage={"auth_code": (*MAYBE_SECRET, "auth-code")},
)
LOST = replace(
    DONE,
    value=replace(DONE.value, state=InstallationState.LOST, corp_id="", problem="install again"),
    record=replace(
        DONE.record,
        payload=DONE.record.payload.replace(b'"done"', b'"lost"')
        .replace(b'"wpABC"', b'""')
        .replace(b'"problem": ""', b'"problem": "install again"'),
    ),
)
SUITE_KINDS = {
    "suite ticket": TICKET,
    "authorization": AUTHORIZATION,
    "refused authorization": REFUSED,
    "cancelled authorization": CANCELLED,
    "auth_code that was taken": TAKEN,
    "auth_code that was sent": SENT,
    "auth_code that is done": DONE,
    "auth_code that is lost": LOST,
}
