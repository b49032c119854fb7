"""How calls to WeCom leave: directly, through a proxy, to fixed addresses, past a private CA."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.adapters.wecom.egress import Egress
from broker.adapters.wecom.passthrough import Passthrough
from broker.domain.errors import WecomUnavailable
from broker.domain.ports.passthrough import ApiCall, MediaHead
from broker.domain.secret import Secret
from tests.kit.http_proxy import ANSWER, Proxy, proxy, secure_wecom
from tests.kit.processes.ports import free_port
from tests.unit.wecom_http.recorders import HASTY, Surroundings, answering, app, parent_with

HERE = {"wecom.test": ["127.0.0.1"]}
PASSWORD = "p@ss/w:rd#企"
LOGIN = "http://broker:p%40ss%2Fw%3Ard%23%E4%BC%81@127.0.0.1"
BASIC = b"Basic " + base64.b64encode(f"broker:{PASSWORD}".encode())


@pytest.fixture
async def squid() -> AsyncIterator[Proxy]:
    async with proxy() as found:
        yield found


def through(port: int, url: str = "http://127.0.0.1", ca: str | None = None) -> Egress:
    return Egress(Secret(f"{url}:{port}"), ca)


async def test_an_https_address_is_reached_by_connect_and_once_for_many_calls(
    around: Surroundings, squid: Proxy, tmp_path: Path
) -> None:
    async with (
        secure_wecom(tmp_path) as (url, ca, asked),
        around.wecom(url, egress=through(squid.port, ca=ca)) as wecom,
    ):
        for _ in range(3):
            assert Secret("the-token") == (await wecom.fetch_app_token(app())).value

    assert [f"CONNECT {url.removeprefix('https://')} HTTP/1.1".encode()] == squid.lines
    assert 3 == len(asked)
    # What travels to the proxy in the clear is the name.
    assert b"corpsecret" not in b"".join(squid.heads)


async def test_an_http_address_is_asked_for_in_absolute_form(around: Surroundings, squid: Proxy) -> None:
    async with answering(ANSWER) as (url, asked), around.wecom(url, egress=through(squid.port)) as wecom:
        assert await wecom.fetch_app_token(app())

    assert squid.lines[0].startswith(f"GET {url}/cgi-bin/gettoken?corpid=".encode())
    assert 1 == len(asked)


async def test_the_proxy_gets_the_password_and_wecom_does_not(
    around: Surroundings, squid: Proxy, tmp_path: Path
) -> None:
    async with (
        secure_wecom(tmp_path) as (url, ca, asked),
        around.wecom(url, egress=through(squid.port, LOGIN, ca)) as wecom,
    ):
        await wecom.fetch_app_token(app())

    assert b"Proxy-Authorization: " + BASIC in squid.heads[0]
    assert "Proxy-Authorization" not in asked[0].headers


async def test_a_new_login_is_used_at_once_for_calls_in_a_new_tunnel(
    around: Surroundings, squid: Proxy, tmp_path: Path
) -> None:
    async with secure_wecom(tmp_path) as (url, ca, asked):
        egress = through(squid.port, "http://broker:old@127.0.0.1", ca)
        async with around.wecom(url, egress=egress) as wecom:
            await wecom.fetch_app_token(app())
            egress.login.renew(Secret(f"{LOGIN}:{squid.port}"))
            await wecom.fetch_app_token(app())

    assert [False, True] == [b"Proxy-Authorization: " + BASIC in head for head in squid.heads]
    assert 2 == len(asked)


async def test_the_password_goes_with_an_absolute_form_too(around: Surroundings, squid: Proxy) -> None:
    async with (
        answering(ANSWER) as (url, _),
        around.wecom(url, egress=through(squid.port, LOGIN)) as wecom,
    ):
        await wecom.fetch_app_token(app())
        await Passthrough(wecom.client).call(
            parent_with("p"), ApiCall("POST", "/cgi-bin/message/send", (), b"{}")
        )

    assert all(b"Proxy-Authorization: " + BASIC in head for head in squid.heads)


async def test_files_and_callers_calls_leave_through_it_too(around: Surroundings, squid: Proxy) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"content"

    async with answering(ANSWER) as (url, _), around.wecom(url, egress=through(squid.port)) as wecom:
        passing, token = Passthrough(wecom.client), parent_with("p")
        await passing.call(token, ApiCall("GET", "/cgi-bin/user/get", (), b""))
        await passing.upload(token, "file", MediaHead("a", "text/plain"), chunks())
        with pytest.raises(Exception, match="not a file"):
            _ = [piece async for piece in passing.download(token, "media-1")]

    paths = [line.split(b"/cgi-bin/")[1].partition(b"?")[0] for line in squid.lines]
    assert [b"user/get", b"media/upload", b"media/get"] == paths


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_proxy_is_named_and_its_password_is_not(around: Surroundings, scheme: str) -> None:
    port = free_port()
    async with around.wecom(f"{scheme}://wecom.test", egress=through(port, LOGIN)) as wecom:
        with pytest.raises(WecomUnavailable) as failed:
            await wecom.fetch_app_token(app())

    assert f"through the proxy 127.0.0.1:{port}" in failed.value.message
    assert "broker" not in failed.value.message + repr(failed.value.metadata)
    assert ["connection"] * 3 == around.observer.outcomes


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [407, 403, 502])
async def test_a_proxy_that_refuses_is_named(
    around: Surroundings, squid: Proxy, scheme: str, status: int
) -> None:
    squid.refusal = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    async with around.wecom(f"{scheme}://wecom.test", egress=through(squid.port)) as wecom:
        with pytest.raises(Exception, match=f"HTTP {status}") as failed:
            await wecom.fetch_app_token(app())

    if scheme == "https" or status == 407:
        assert isinstance(failed.value, WecomUnavailable)
        assert f"the proxy 127.0.0.1:{squid.port}" in failed.value.message


async def test_a_silent_proxy_is_named(around: Surroundings, squid: Proxy) -> None:
    squid.silent = True
    async with around.wecom("https://wecom.test", HASTY, through(squid.port)) as wecom:
        with pytest.raises(WecomUnavailable, match=f"in time through the proxy 127.0.0.1:{squid.port}"):
            await wecom.fetch_app_token(app())


async def test_the_environments_proxies_are_ignored(
    around: Surroundings, squid: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{squid.port}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{squid.port}")
    async with answering(ANSWER) as (url, _), around.wecom(url) as wecom:
        assert await wecom.fetch_app_token(app())

    assert [] == squid.heads


async def test_a_name_may_have_fixed_addresses(around: Surroundings, tmp_path: Path) -> None:
    async with (
        secure_wecom(tmp_path) as (url, ca, asked),
        around.wecom(url, egress=Egress(None, ca, HERE)) as wecom,
    ):
        assert await wecom.fetch_app_token(app())

    assert url.endswith(asked[0].host)


async def test_of_several_addresses_one_that_answers_is_enough(around: Surroundings, tmp_path: Path) -> None:
    addresses = {"wecom.test": ["::1", "127.0.0.2", "127.0.0.1"]}
    async with (
        secure_wecom(tmp_path) as (url, ca, _),
        around.wecom(url, egress=Egress(None, ca, addresses)) as wecom,
    ):
        assert await wecom.fetch_app_token(app())


async def test_other_names_are_looked_up(around: Surroundings) -> None:
    async with (
        answering(ANSWER) as (url, _),
        around.wecom(url.replace("127.0.0.1", "localhost"), egress=Egress(None, None, HERE)) as wecom,
    ):
        assert await wecom.fetch_app_token(app())


async def test_a_certificate_of_an_unknown_authority_is_refused(around: Surroundings, tmp_path: Path) -> None:
    async with (
        secure_wecom(tmp_path) as (url, _, asked),
        around.wecom(url, egress=Egress(None, None, HERE)) as wecom,
    ):
        with pytest.raises(WecomUnavailable, match=r"the certificate of wecom\.test is not trusted"):
            await wecom.fetch_app_token(app())

    assert [] == asked


async def test_another_authority_in_the_file_is_trusted_once_it_is_read_again(
    around: Surroundings, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    file = tmp_path / "trusted.pem"
    async with secure_wecom(tmp_path) as (url, ca, _), secure_wecom(own) as (_, other, _):
        file.write_bytes(Path(other).read_bytes())
        egress = Egress(None, str(file), HERE)
        async with around.wecom(url, egress=egress) as wecom:
            with pytest.raises(WecomUnavailable, match="is not trusted"):
                await wecom.fetch_app_token(app())
            file.write_bytes(Path(ca).read_bytes())
            egress.trust.renew()

            assert await wecom.fetch_app_token(app())
            file.write_text("half a certifi")
            egress.trust.renew()
            assert await wecom.fetch_app_token(app())


async def test_a_name_that_cannot_be_resolved_is_named(around: Surroundings) -> None:
    async with around.wecom("https://no-such-host.invalid") as wecom:
        with pytest.raises(WecomUnavailable, match=r"no-such-host\.invalid cannot be resolved"):
            await wecom.fetch_app_token(app())


def test_what_operators_see_of_it_has_no_password() -> None:
    described = through(3128, LOGIN).described()

    assert "through the proxy 127.0.0.1:3128" == described["way"]
    assert "broker" not in repr(described) + repr(through(3128, LOGIN))
