"""The way to WeCom over TLS: no token is asked of a server that does not prove that it is WeCom."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from aiohttp import web

from tests.integration.acting.acting import reason_of
from tests.integration.acting.test_way_to_wecom import serving, token_of
from tests.kit.processes.certificates import Authority, Pair

HERE = "127.0.0.1"


@asynccontextmanager
async def wecom_over_tls(
    folder: Path, pair: Pair, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve tokens with that certificate, up to that TLS; yields the address and what was asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"access_token": "the-token-of-wecom", "expires_in": 7200})

    files = pair.write(folder, "wecom")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certificate"], files["private_key"])
    if newest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0, ssl_context=context).start()
    try:
        yield f"https://{HERE}:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_proves_itself_is_asked(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    authority = Authority()
    async with (
        wecom_over_tls(tmp_path, authority.sign(address=HERE), newest) as (url, _),
        serving(url, tmp_path, ca=authority.write(tmp_path)) as tokens,
    ):
        assert "the-token-of-wecom" == (await token_of(tokens, "")).token.value


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("another host", "the certificate of 127.0.0.1 is not trusted"),
        ("expired", "the certificate of 127.0.0.1 is not trusted"),
        ("an unknown authority", "the certificate of 127.0.0.1 is not trusted"),
        ("TLS 1.1", "no connection to 127.0.0.1"),
    ],
)
async def test_a_server_that_does_not_is_told_and_asked_nothing(tmp_path: Path, kind: str, said: str) -> None:
    authority = Authority()
    pair = {
        "another host": authority.sign(dns="qyapi.weixin.qq.com"),
        "expired": authority.sign(address=HERE, lasts=-timedelta(minutes=5)),
        "an unknown authority": Authority("another CA").sign(address=HERE),
        "TLS 1.1": authority.sign(address=HERE),
    }[kind]
    newest = ssl.TLSVersion.TLSv1_1 if kind == "TLS 1.1" else ssl.TLSVersion.TLSv1_3
    async with (
        wecom_over_tls(tmp_path, pair, newest) as (url, asked),
        serving(url, tmp_path, ca=authority.write(tmp_path)) as tokens,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await token_of(tokens, "")

    assert "WECOM_UNAVAILABLE" == reason_of(refused.value)[0]
    assert said in (refused.value.details() or "")
    assert [] == asked
