"""The table of WeCom's paths decides on each one that the reference names."""

import re
from pathlib import Path

import pytest

from broker.protocol.api_paths import CLOSED, OPEN, OPEN_SERVICES, is_path, why_closed

DOCS = Path(__file__).parents[3] / "docs"
SHORT = {
    "batch/external_userid_to_pending_id": "corpgroup/batch/external_userid_to_pending_id",
    "corpgroup/gettoken": "corpgroup/corp/gettoken",
    "corpgroup/rule": "corpgroup/rule/list_ids",
    "license/*": "license/active_account",
    "rule/*": "corpgroup/rule/list_ids",
    "qyapi/get_launch_code": "get_launch_code",
}
"""How the reference shortens paths."""
NO_PATHS = frozenset(
    (
        *("bad/used", "disable/enable", "member/department/tag", "purchase/renewal/expansion"),
        *("trial/service", "unknown/expired", "overtrue/wechat", "sbzhu/weworkapi_php", "wecom/jssdk"),
        *("witjs/wecom", "wxkingstar/doc"),
    )
)
"""Other words with a "/" in the reference."""
NUMBERS = re.compile(r"[0-9]+[a-z]?/.*")
FINDING = [
    *("school/getuserinfo", "corp/apply_mass_call_ticket", "get_launch_code", "gettoken", "ticket/get"),
    *("corpgroup/corp/gettoken", "get_jsapi_ticket", "agent/claim_customized_app", "service/get_login_info"),
    *("service/get_suite_token", "service/get_provider_token", "service/get_permanent_code"),
    *("service/v2/get_permanent_code", "service/get_corp_token", "service/get_pre_auth_code"),
    *("service/set_session_info", "service/get_register_code", "service/get_register_info"),
    *("service/contact_sync_success", "sync/contact_sync_success", "service/finish_openid_migration"),
    *("service/externalcontact/finish_external_userid_migration", "aibot/response", "auth/get_tfa_info"),
    *("externalcontact/finish_external_userid_migration", "living/get_living_code", "user/tfa_succ"),
    *("miniprogram/jscode2session", "miniprogram/transfer_session", "user/getuserinfo"),
    *("auth/getuserinfo", "auth/getuserdetail", "user/getuserdetail", "media/get", "media/upload"),
]
"""What hands out, consumes or ends credentials (wecom-api K), or streams."""


def named_in_the_reference() -> set[str]:
    pages = [DOCS / "wecom-api.md", *(DOCS / "wecom-api").glob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    text = re.sub(r"^\[.*?\]: .*$", "", text, flags=re.MULTILINE)
    full = re.findall(r"/cgi-bin/([A-Za-z0-9_/]*[A-Za-z0-9_])", text)
    short = re.findall(r"(?<![\w./-])((?:[a-z0-9_]+/){1,4}[a-z0-9_*]+)(?![\w/.])", text)
    found = {SHORT.get(path, path) for path in {*full, *short} - NO_PATHS if not NUMBERS.fullmatch(path)}
    return {f"/cgi-bin/{path}" for path in found}


def test_the_reference_names_many_paths() -> None:
    found = named_in_the_reference()

    assert {"/cgi-bin/gettoken", "/cgi-bin/user/get", "/cgi-bin/service/get_login_info"} <= found
    assert 60 < len(found)


def test_each_path_that_the_reference_names_has_a_row() -> None:
    open_rows = {f"/cgi-bin/{path}" for path in OPEN} | OPEN_SERVICES
    undecided = {path for path in named_in_the_reference() if not why_closed(path) and path not in open_rows}

    assert set() == undecided, "hands it out credentials? then CLOSED, else OPEN or OPEN_SERVICES"


def test_no_path_is_open_and_closed() -> None:
    assert [] == [path for path in OPEN if why_closed(f"/cgi-bin/{path}")]
    assert [] == [path for path in OPEN_SERVICES if why_closed(path)]
    assert all(is_path(f"/cgi-bin/{path}") for path in (*CLOSED, *OPEN))
    assert all(path == path.lower() for path in CLOSED)


@pytest.mark.parametrize("path", FINDING)
def test_what_gives_spends_or_ends_credentials_is_closed_in_any_case_and_below(path: str) -> None:
    for spelt in (path, path.upper(), path.title(), f"{path}/x", f"{path}/get".replace("get", "GET")):
        assert why_closed(f"/cgi-bin/{spelt}")


@pytest.mark.parametrize(
    "path",
    ["user/get", "user/getuserinfos", "ticketing/list", "authority/x", "media/upload_by_url", "services"],
)
def test_what_only_begins_alike_is_open(path: str) -> None:
    assert "" == why_closed(f"/cgi-bin/{path}")
