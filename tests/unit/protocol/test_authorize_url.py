"""The link to WeCom's consent."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.errors import InvalidRequest
from broker.protocol.authorize_url import Scope, authorize_url, check_redirect_uri, check_state

BASE = "https://open.weixin.qq.com"


def test_the_link_has_wecom_s_parameters_in_wecom_s_order() -> None:
    expected = (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=ww0parent"
        "&redirect_uri=https%3A%2F%2Fapp.example.com%3A8443%2Fa%2B%3Fb%3Dc%26d%3D%E5%80%BC%23e"
        "&response_type=code&scope=snsapi_privateinfo&state=a1B2&agentid=1000002#wechat_redirect"
    )
    redirect_uri = "https://app.example.com:8443/a+?b=c&d=值#e"

    assert expected == authorize_url(BASE, "ww0parent", 1000002, redirect_uri, Scope.PRIVATE_INFO, "a1B2")


def test_a_base_may_end_in_a_slash() -> None:
    link = authorize_url("https://wecom.internal/", "ww0", 1, "https://h", Scope.BASE, "x")

    assert link.startswith("https://wecom.internal/connect/oauth2/authorize?appid=ww0&")
    assert "&scope=snsapi_base&" in link


@pytest.mark.parametrize("state", ["a", "Z9", "0" * 128])
def test_a_state_is_letters_and_digits(state: str) -> None:
    check_state(state)


@pytest.mark.parametrize("state", ["", "a-b", "a_b", "a b", "a\n", "值", "９", "a" * 129])
def test_another_state_is_refused(state: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_state(state)

    assert "state" == refused.value.metadata["field"]
    with pytest.raises(InvalidRequest):
        authorize_url(BASE, "ww0", 1, "https://h", Scope.BASE, state)


@pytest.mark.parametrize(
    "redirect_uri", ["", "h/a", "ftp://h", "https://", "https://h/a b", "https://h\r\nx"]
)
def test_a_redirect_uri_that_is_no_web_address_is_refused(redirect_uri: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_redirect_uri(redirect_uri)

    assert "redirect_uri" == refused.value.metadata["field"]
    with pytest.raises(InvalidRequest):
        authorize_url(BASE, "ww0", 1, redirect_uri, Scope.BASE, "x")


@given(st.text(st.characters()), st.sampled_from(Scope), st.text())
def test_any_redirect_uri_comes_back_from_the_link_as_it_was(text: str, scope: Scope, state: str) -> None:
    redirect_uri = "https://h/" + text
    try:
        link = authorize_url(BASE, "ww0", 1000002, redirect_uri, scope, state)
    except InvalidRequest:
        return
    parts = urlsplit(link)

    assert "wechat_redirect" == parts.fragment
    assert [
        ("appid", "ww0"),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("scope", scope.value),
        ("state", state),
        ("agentid", "1000002"),
    ] == parse_qsl(parts.query, strict_parsing=True)
