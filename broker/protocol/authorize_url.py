"""The link that sends a visitor to WeCom and back with a code (网页授权, wecom-api A6; doc 91022)."""

import re
from enum import StrEnum
from urllib.parse import quote

from broker.domain.errors import InvalidRequest
from broker.protocol.web_url import check_web_url

# Hex and base62 fit; base64url does not: '-' and '_' are 84025 (wecom-api G24).
_STATE = re.compile(r"[A-Za-z0-9]{1,128}")


class Scope(StrEnum):
    """What the link asks for, by WeCom's names."""

    BASE = "snsapi_base"
    PRIVATE_INFO = "snsapi_privateinfo"


def authorize_url(base: str, app_id: str, agent_id: int, redirect_uri: str, scope: Scope, state: str) -> str:
    """Return the link; in a corp group the corp is the parent, whoever clicks. Raises `InvalidRequest`.

    The app's id is its corp's; for a third-party suite its own, without an agent id (wecom-api B10).
    """
    check_redirect_uri(redirect_uri)
    check_state(state)
    agent = f"&agentid={agent_id}" if agent_id else ""
    # The order is WeCom's, and without the fragment its client shows an empty page.
    return (
        f"{base.rstrip('/')}/connect/oauth2/authorize"
        f"?appid={quote(app_id, safe='')}"
        f"&redirect_uri={quote(redirect_uri, safe='')}"
        "&response_type=code"
        f"&scope={scope}"
        f"&state={state}"
        f"{agent}"
        "#wechat_redirect"
    )


def check_state(state: str) -> None:
    """Accept 1 to 128 ASCII letters and digits. Raises `InvalidRequest`."""
    if _STATE.fullmatch(state) is None:
        raise InvalidRequest("state", "should be 1 to 128 letters and digits")


def check_redirect_uri(redirect_uri: str) -> None:
    """Accept an absolute http or https URL; WeCom checks the trusted domain. Raises `InvalidRequest`."""
    check_web_url("redirect_uri", redirect_uri)
