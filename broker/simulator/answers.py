"""What WeCom answers: a JSON object, or a refusal with its code and a message not to branch on."""

from collections.abc import Mapping

Answer = Mapping[str, object]
"""Bytes in it are written between the quotes of a string unchanged, even if that is not valid JSON."""

_TEXTS: Mapping[int, str] = {
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid userid",
    40004: "invalid media type",
    40006: "invalid file size",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid corpid",
    40029: "invalid code",
    40014: "invalid access_token",
    40035: "invalid parameter. Warning: wrong json format. ",
    40056: "invalid agentid",
    40058: "invalid request parameter",
    40063: "some parameters are empty",
    40091: "invalid secret",
    40093: "invalid jsapi signature",
    40077: "invalid pre_auth_code",
    40078: "invalid auth_code",
    40080: "invalid suite_secret",
    40082: "invalid suite_acccess_token or provider_access_token",
    40083: "invalid suite_id",
    40084: "invalid permanent_code",
    40085: "invalid suite ticket",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    41005: "media data missing",
    41008: "code missing",
    41009: "userid missing",
    41011: "agentid missing",
    41021: "suite_id missing",
    41022: "suite_access_token or provider_access_token missing",
    41023: "suite_ticket missing",
    41024: "suite_secret missing",
    41025: "permanent_code missing",
    42001: "access_token expired",
    42003: "oauth code expired",
    42007: "pre_auth_code expired",
    42009: "suite_access_token expired",
    42012: "jsapi_ticket is not for this",
    42013: "mini-program session expired",
    42022: "code was used before",
    44001: "empty media data",
    45009: "api freq out of limit",
    45031: "secret is not safe, please reset it",
    45033: "api concurrent out of limit",
    48001: "api unauthorized",
    48002: "api forbidden",
    48003: "suite_id does not match the suite_access_token",
    48004: "authorization is cancelled or does not exist",
    50003: "app is disabled",
    50100: "invalid cursor",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    60214: "only third-party apps may call",
    81013: "all receivers are invalid or not authorised",
    84014: "user_ticket expired",
    84015: "invalid user_ticket",
    84025: "invalid state",
    84054: "auth_corpid missing",
    84090: "user_ticket missing",
    90208: "mini-program appid mismatch",
    90212: "suite is not bound to the mini-program",
    91040: "invalid ticket type",
    301002: "no permission to access this agentid",
    301007: "corp is not available",
    670001: "app is not shared to the corp",
    670004: "corp is not in the corp group",
    710000: "invalid open_corpid",
    2000002: "CorpId parameter invalid",
}


class Refusal(Exception):
    """End a call with an errcode."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        super().__init__(errcode, detail)
        self.errcode = errcode
        self.detail = detail


def errmsg(errcode: int, *, hint: str, ip: str, detail: str = "") -> str:
    """Return the message of a refusal as WeCom writes it, with the tail that changes from call to call."""
    text = detail or _TEXTS.get(errcode, "request refused")
    more = f"https://open.work.weixin.qq.com/devtool/query?e={errcode}"
    return f"{text}, hint: [{hint}], from ip: {ip}, more info at {more}"
