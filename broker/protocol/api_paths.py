"""Which of WeCom's paths a caller may call, whatever token goes with the call (wecom-api K).

Closed is what hands out, consumes or ends credentials, what a corp cannot undo, and what streams: other RPCs
serve most of it. Below `service/`, where WeCom keeps its credentials, only what is known is open.
"""

import re

PATH = re.compile(r"/cgi-bin(/[A-Za-z0-9_]+)+")
LONGEST_PATH = 256

CLOSED = (
    # Tokens and tickets.
    "gettoken",
    "corpgroup/corp/gettoken",
    "get_jsapi_ticket",
    "ticket",
    "get_launch_code",
    "corp/apply_mass_call_ticket",
    # Login codes, profiles and sessions (wecom-api A7-A10, A16).
    "auth",
    "miniprogram",
    "user/getuserinfo",
    "user/getuserdetail",
    "user/tfa_succ",
    "school/getuserinfo",
    # A suite's token travels in the body; a corp's token ends (wecom-api B15, B16).
    "agent/claim_customized_app",
    "sync/contact_sync_success",
    # The one way of ids to the new kind (wecom-api B16).
    "externalcontact/finish_external_userid_migration",
    # Files.
    "media/get",
    "media/upload",
    "media/uploadimg",
    "media/upload_attachment",
)
"""Below `/cgi-bin/`, each with everything under it."""

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

_CLOSED = re.compile(
    f"/cgi-bin/(service|{'|'.join(CLOSED)})(/.*)?",
    # Whether WeCom's paths are case-sensitive is not documented.
    re.IGNORECASE,
)


def is_path(text: str) -> bool:
    """Return whether it is a path under `/cgi-bin/` that nobody can read in another way."""
    return len(text) <= LONGEST_PATH and PATH.fullmatch(text) is not None


def is_open(path: str) -> bool:
    """Return whether a caller may call that path."""
    return path in OPEN_SERVICES or not _CLOSED.fullmatch(path)
