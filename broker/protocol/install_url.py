"""The link by which an administrator installs a third-party suite (wecom-api B5; doc 90597)."""

from urllib.parse import quote

from broker.domain.secret import Secret

INSTALL_PAGE = "https://open.work.weixin.qq.com/3rdapp/install"


def install_url(suite_id: str, pre_auth_code: Secret, redirect_uri: str, state: str) -> str:
    """Return the link; WeCom sends the administrator back to `redirect_uri` with auth_code and state."""
    return (
        f"{INSTALL_PAGE}?suite_id={quote(suite_id, safe='')}"
        f"&pre_auth_code={quote(pre_auth_code.reveal(), safe='')}"
        f"&redirect_uri={quote(redirect_uri, safe='')}&state={state}"
    )
