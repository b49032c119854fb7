"""A page's signature, and what of its URL is signed."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.errors import InvalidRequest
from broker.domain.secret import Secret
from broker.protocol.js_sdk import page_url, sign_url
from tests.vectors import Vector, cases

ANY_TEXT = st.text(st.characters(), max_size=60)


@pytest.mark.parametrize(**cases("jsapi_signature"))
def test_a_published_page_has_its_published_signature(vector: Vector) -> None:
    inputs = vector["inputs"]
    signature = sign_url(
        Secret(inputs["jsapi_ticket"]), inputs["noncestr"], inputs["timestamp"], page_url(inputs["url"])
    )

    assert vector["expected"]["signature"] == signature


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://h", "https://h"),
        ("https://h/#", "https://h/"),
        ("https://h/a?b=c#d?e#f", "https://h/a?b=c"),
        ("HTTPS://Host:8443/A%2fb?x=%20&x=1&&y", "HTTPS://Host:8443/A%2fb?x=%20&x=1&&y"),
        ("http://[::1]:80/?", "http://[::1]:80/?"),
        ("https://例子.cn/页?名=值", "https://例子.cn/页?名=值"),
        ("https://h/#" + " " * 5000, "https://h/"),
    ],
)
def test_a_url_is_cut_at_the_hash_and_not_touched_otherwise(url: str, signed: str) -> None:
    assert signed == page_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "#", "h", "h/a", "/a", "//h/a", "https:", "https://", "https:///a", "https://?a", "https://#h"),
        *("ftp://h/", "javascript:alert(1)", "file:///etc", "http:/h", "http:\\\\h", "https://:80/"),
        *("https://h:x/", "https://h:99999/", "https://h:0/", "https://[::1/", "https://[h]/"),
        *(" https://h/", "https://h/ ", "https://h/a b", "https://h/\n", "ht\ntps://h", "https://h/\x00"),
        *("https://h/\u3000", "https://h/\u2028", "https://h/\x7f", "https://h/\ud800"),
        "https://h/" + "a" * 8192,
    ],
)
def test_what_no_browser_has_as_its_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        page_url(url)

    assert "url" == refused.value.metadata["field"]


def test_a_url_of_8192_characters_is_the_longest() -> None:
    url = "https://h/".ljust(8192, "a")

    assert url == page_url(url)


@given(ANY_TEXT)
def test_any_text_is_a_prefix_without_hash_or_refused(text: str) -> None:
    for url in (text, "https://" + text, "http://h/" + text):
        try:
            page = page_url(url)
        except InvalidRequest:
            continue
        assert url.partition("#")[0] == page
        assert 40 == len(sign_url(Secret("ticket"), "nonce", 1, page))


@given(st.text(), st.text(), st.integers(), st.text())
def test_values_are_signed_raw_and_in_order(ticket: str, nonce: str, timestamp: int, url: str) -> None:
    text = "jsapi_ticket=" + ticket + "&noncestr=" + nonce + "&timestamp=" + str(timestamp) + "&url=" + url

    assert hashlib.sha1(text.encode()).hexdigest() == sign_url(Secret(ticket), nonce, timestamp, url)
