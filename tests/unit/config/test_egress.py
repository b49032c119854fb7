"""How calls to WeCom leave, as configured: each mistake is reported by key, and the password never shown."""

from pathlib import Path
from typing import Any

import pytest

from broker.config.load import ConfigError, parse_config
from broker.config.schema import WecomTable
from broker.domain.secret import Secret
from tests.kit.processes.certificates import Authority

CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}


def wecom(**keys: Any) -> WecomTable:
    return parse_config({"apps": [CRM], "wecom": keys}).wecom


def mistake(**keys: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        wecom(**keys)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize("url", [
    "http://proxy.internal:3128",
    "http://proxy.internal:3128/",
    "http://user:password@10.0.0.1:3128",
    "http://user@10.0.0.1:3128",
    "http://user:p%40ss%2Fw%23rd%3F@[2001:db8::1]:3128",
    "http://user:p@ss@10.0.0.1:3128",
    "HTTP://proxy:3128",
])  # fmt: skip
def test_a_proxy_is_a_secret_and_taken_as_it_is(url: str) -> None:
    assert Secret(url) == wecom(proxy=url).proxy


def test_a_proxy_may_come_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WECOM_PROXY", " http://proxy:3128\n")
    (tmp_path / "proxy").write_text("http://proxy:3128\n")

    assert Secret("http://proxy:3128") == wecom(proxy={"env": "WECOM_PROXY"}).proxy
    assert Secret("http://proxy:3128") == wecom(proxy={"file": str(tmp_path / "proxy")}).proxy


@pytest.mark.parametrize(("url", "word"), [
    ("proxy.internal:3128", "must be http://host:port"),
    ("10.0.0.1:3128", "must be http://host:port"),
    ("https://user:Marker@proxy:3128", "must be http://host:port"),
    ("socks5://user:Marker@proxy:1080", "must be http://host:port"),
    ("http://user:Marker@proxy", "the port is missing"),
    ("http://proxy:0", "the port is missing"),
    ("http://proxy:99999", "must be http://host:port"),
    ("http://:3128", "must be http://host:port"),
    ("http://user:Mar#ker@proxy:3128", "percent-encode the password"),
    ("http://user:Mar/ker@proxy:3128", "percent-encode the password"),
    ("http://user:Mar?ker@proxy:3128", "percent-encode the password"),
    ("http://user:Mar[ker@proxy:3128", "percent-encode the password"),
    ("http://user:Marker@proxy:3128/path", "must be http://host:port"),
    ("http://proxy:3128?x=1", "must be http://host:port"),
    ("http://user:Marker@pro xy:3128", "must be http://host:port"),
])  # fmt: skip
def test_a_proxy_that_cannot_be_one_is_reported_by_key_without_its_password(url: str, word: str) -> None:
    problem = mistake(proxy=url)

    assert problem.startswith("wecom.proxy: ")
    assert word in problem
    assert "Mar" not in problem


@pytest.mark.parametrize("proxy", [3128, ["http://proxy:3128"], {"url": "http://proxy:3128"}, ""])
def test_what_is_no_secret_is_no_proxy(proxy: object) -> None:
    assert mistake(proxy=proxy).startswith("wecom.proxy: ")


def test_no_representation_shows_the_proxy() -> None:
    table = wecom(proxy="http://user:Marker@proxy:3128")

    assert "Marker" not in f"{table!r} {table} {table.model_dump()}"


def test_a_ca_file_has_certificates(tmp_path: Path) -> None:
    path = Authority().write(tmp_path)

    assert path == wecom(ca=path).ca


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"\x00\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n"]
)
def test_a_ca_file_without_a_certificate_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)

    assert f"wecom.ca: {path} has no certificate in PEM form" == mistake(ca=str(path))


def test_a_ca_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    assert f"wecom.ca: cannot read {tmp_path}/none" == mistake(ca=f"{tmp_path}/none")
    assert mistake(ca=str(tmp_path)).startswith("wecom.ca: ")


def test_names_have_addresses() -> None:
    resolve = {"QYAPI.weixin.qq.com": ["203.0.113.7", "2001:DB8::7"]}

    assert {"qyapi.weixin.qq.com": ["203.0.113.7", "2001:db8::7"]} == wecom(resolve=resolve).resolve


@pytest.mark.parametrize(("resolve", "key"), [
    ({"h": ["203.0.113.7:443"]}, "wecom.resolve.h[0]"),
    ({"h": ["203.0.113.7", "other.host"]}, "wecom.resolve.h[1]"),
    ({"h": ["203.0.113.0/24"]}, "wecom.resolve.h[0]"),
    ({"h": []}, "wecom.resolve.h"),
    ({"h": "203.0.113.7"}, "wecom.resolve.h"),
    ({"https://h": ["203.0.113.7"]}, "wecom.resolve"),
    ({"h:443": ["203.0.113.7"]}, "wecom.resolve"),
    ({"": ["203.0.113.7"]}, "wecom.resolve"),
    (["203.0.113.7"], "wecom.resolve"),
])  # fmt: skip
def test_a_name_or_address_that_cannot_be_one_is_reported_by_key(resolve: object, key: str) -> None:
    assert key == mistake(resolve=resolve).partition(": ")[0]
