"""The table of WeCom's paths: which ones a caller may call, whatever token goes with the call (wecom-api K).

Closed is what hands out, consumes or ends credentials, what a corp cannot undo, and what streams: other RPCs
serve most of it. Below `service/`, where WeCom keeps its credentials, only what is known is open. Elsewhere
what has no row is open to callers whose rules name it; a test demands a row for each path of the reference.
"""

import re

PATH = re.compile(r"/cgi-bin(/[A-Za-z0-9_]+)+")
LONGEST_PATH = 256
UPLOAD, DOWNLOAD = "/cgi-bin/media/upload", "/cgi-bin/media/get"
"""What a rule names for `UploadMedia` and `DownloadMedia`; `CallApi` carries no files."""
_TOKEN = "gives a token"  # noqa: S105 - a reason
_TICKET = "gives a ticket"
_CODE = "gives a one-time code"
_LOGIN = "spends a login code, or gives a profile or a session"
_FILE = "carries a file"
_SERVICE = "is a provider's or a suite's, and may give credentials"

CLOSED = {
    "gettoken": _TOKEN,
    "corpgroup/corp/gettoken": _TOKEN,
    "get_jsapi_ticket": _TICKET,
    "ticket": _TICKET,
    "corp/apply_mass_call_ticket": _TICKET,
    "get_launch_code": _CODE,
    "living/get_living_code": _CODE,
    # Login codes, profiles and sessions (wecom-api A7-A10, A16).
    "auth": _LOGIN,
    "miniprogram": _LOGIN,
    "user/getuserinfo": _LOGIN,
    "user/getuserdetail": _LOGIN,
    "user/tfa_succ": _LOGIN,
    "school/getuserinfo": _LOGIN,
    # The one-time address of a reply is its subscriber's (wecom-api J).
    "aibot/response": "spends a robot's one-time response_code",
    # A suite's token travels in the body; a corp's token ends (wecom-api B15, B16).
    "agent/claim_customized_app": "takes a suite's token",
    "sync/contact_sync_success": "ends a token",
    # The one way of ids to the new kind (wecom-api B16).
    "externalcontact/finish_external_userid_migration": "cannot be undone",
    "media/get": _FILE,
    "media/upload": _FILE,
    "media/uploadimg": _FILE,
    "media/upload_attachment": _FILE,
    "service": _SERVICE,
}
"""Why, by the path below `/cgi-bin/`; each with everything under it, except `OPEN_SERVICES`."""

OPEN_SERVICES = frozenset(
    f"/cgi-bin/service/{path}"
    for path in (
        "get_admin_list",
        "get_app_qrcode",
        "get_customized_auth_url",
        "get_order",
        "get_order_list",
        "prolong_try",
        "corpid_to_opencorpid",
        "contact/search",
        "contact/batchsearch",
        "contact/sort",
        "contact/id_translate",
        "batch/getresult",
        "externalcontact/unionid_to_external_userid_3rd",
    )
)
"""Calls of suites and providers that give no credential, spelt exactly so (wecom-api B9, B15, B16)."""

OPEN = frozenset(
    (
        *("agent/get", "agent/get_admin_list", "agent/get_permissions", "agent/list", "agent/set"),
        *("batch/openuserid_to_userid", "batch/userid_to_openuserid", "corp/get_openid_migration"),
        *("corpgroup/batch/external_userid_to_pending_id", "corpgroup/corp/get_chain_corpinfo"),
        *("corpgroup/corp/get_chain_corpinfo_list", "corpgroup/corp/get_chain_group"),
        *("corpgroup/corp/get_chain_list", "corpgroup/corp/get_chain_user_custom_id"),
        *("corpgroup/corp/list_app_share_info", "corpgroup/corp/remove_corp"),
        *("corpgroup/get_corp_shared_chain_list", "corpgroup/getresult", "corpgroup/import_chain_contact"),
        *("corpgroup/rule/add_rule", "corpgroup/rule/delete_rule", "corpgroup/rule/get_rule_info"),
        *("corpgroup/rule/list_ids", "corpgroup/rule/modify_rule"),
        *("corpgroup/unionid_to_external_userid", "corpgroup/unionid_to_pending_id"),
        *("externalcontact/from_service_external_userid", "externalcontact/get_new_external_userid"),
        *("get_api_domain_ip", "getcallbackip", "idconvert/unionid_to_external_userid", "kf/sync_msg"),
        *("license/active_account", "license/batch_share_active_code", "message/send", "user/get"),
    )
)
"""What the reference names and gives no credential: known to be open, as all that has no row."""

CREDENTIALS = frozenset(
    (
        *("access_token", "suite_access_token", "provider_access_token", "suite_ticket", "permanent_code"),
        *("corpsecret", "suite_secret", "provider_secret"),
    )
)
"""What only the broker puts into a call, under no spelling."""
CODES = frozenset(
    (
        *("code", "js_code", "auth_code", "pre_auth_code", "tfa_code", "register_code", "response_code"),
        *("user_ticket", "session_key"),
    )
)
"""What works once, or lets act for a user: other RPCs take it."""

_BY_LENGTH = sorted(CLOSED, key=len, reverse=True)


def is_path(text: str) -> bool:
    """Return whether it is a path under `/cgi-bin/` that nobody can read in another way."""
    return len(text) <= LONGEST_PATH and PATH.fullmatch(text) is not None


def class_of(path: str) -> str:
    """Return a path that the reference names as open, else `other`."""
    return path if path in OPEN_SERVICES or path.removeprefix("/cgi-bin/") in OPEN else "other"


def why_closed(path: str) -> str:
    """Return why no caller may call that path; "" if it is open."""
    if path in OPEN_SERVICES:
        return ""
    # Whether WeCom's paths are case-sensitive is not documented.
    below = path.removeprefix("/cgi-bin/").lower() + "/"
    return next((CLOSED[row] for row in _BY_LENGTH if below.startswith(f"{row}/")), "")
