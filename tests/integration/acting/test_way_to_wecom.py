"""The way to WeCom and back, as callers see it: odd text in answers, proxies, names that are not found."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc

from broker.app.running_broker import running_broker
from broker.config.load import parse_config
from broker.domain.replica.health import ReloadOutcome
from tests.integration.acting.acting import reason_of, tables_of, target
from tests.kit.http_proxy import Proxy, proxy
from tests.kit.processes.ports import free_port

CHILDREN = (
    b'{"errcode":0,"ending":1,"corp_list":[{"corpid":"ww1child","corp_name":"%s","agentid":7},'
    b'{"corpid":"ww2child","corp_name":"b","agentid":8}]}'
)


@asynccontextmanager
async def fake_wecom(listing: bytes) -> AsyncIterator[str]:
    """Give tokens, and this list of shares."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("list_app_share_info"):
            return web.Response(body=listing)
        return web.json_response({"access_token": f"token-of{request.path}", "expires_in": 7200})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(url: str, folder: Path, **wecom: Any) -> AsyncIterator[Any]:
    """Run a cold broker before that WeCom; yields its token service."""
    tables = tables_of(url, folder, {"share_kinds": ["corp_group"]})
    tables["wecom"] |= wecom
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        running_broker(parse_config(tables)) as broker,
        grpc.aio.insecure_channel(broker.grpc_addresses[0], options=options) as channel,
    ):
        yield pb_grpc.TokenServiceStub(channel)


def token_of(tokens: Any, corp_id: str) -> Any:
    return tokens.GetAccessToken(pb.GetAccessTokenRequest(target=target(corp_id)))


@pytest.mark.parametrize(
    "name", [b"a\x14b", b"a\nb", "北京".encode("gbk"), "誠".encode("gbk"), rb"a\ud800", b"\xed\xa0\x80"]
)
async def test_one_childs_odd_name_costs_no_child_its_token(tmp_path: Path, name: bytes) -> None:
    async with fake_wecom(CHILDREN % name) as url, serving(url, tmp_path) as tokens:
        for corp_id in ("ww2child", "ww1child"):
            answer = await token_of(tokens, corp_id)

            assert ("token-of/cgi-bin/corpgroup/corp/gettoken", corp_id) == (
                answer.token.value, answer.token.corp_id,
            )  # fmt: skip


async def test_an_entry_that_cannot_be_read_costs_no_other_child_its_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = CHILDREN.replace(b'"agentid":7', b'"agentid":"?"') % b"a"
    async with fake_wecom(listing) as url, serving(url, tmp_path) as tokens:
        assert (await token_of(tokens, "ww2child")).token.value
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await token_of(tokens, "ww1child")

    assert "APP_NOT_SHARED" == reason_of(refused.value)[0]
    said = capsys.readouterr()
    assert "unreadable entries" in said.out + said.err


async def test_the_configured_proxy_is_used_and_told_at_the_start_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        proxy() as squid,
        fake_wecom(CHILDREN % b"a") as url,
        serving(url, tmp_path, proxy=f"http://user:Marker@127.0.0.1:{squid.port}") as tokens,
    ):
        assert (await token_of(tokens, "ww1child")).token.value

    said = capsys.readouterr()
    assert f"through the proxy 127.0.0.1:{squid.port}" in said.out + said.err
    assert "Marker" not in said.out + said.err
    assert {url.encode()} == {b"/".join(line.split(b" ")[1].split(b"/")[:3]) for line in squid.lines}


async def test_a_reload_renews_the_login_at_the_proxy_and_shows_it_to_no_other(tmp_path: Path) -> None:
    password = tmp_path / "proxy"

    def logins(squid: Proxy) -> list[bytes]:
        heads = [head for head in squid.heads if b"Proxy-Authorization: Basic " in head]
        return [base64.b64decode(head.split(b"Basic ")[1].split(b"\r\n")[0]) for head in heads]

    async with proxy() as squid, proxy() as other, fake_wecom(CHILDREN % b"a") as url:
        password.write_text(f"http://user:old@127.0.0.1:{squid.port}")
        tables = tables_of(url, tmp_path, {"share_kinds": ["corp_group"]})
        tables["wecom"]["proxy"] = {"file": str(password)}
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with (
            running_broker(parse_config(tables), lambda: parse_config(tables)) as broker,
            grpc.aio.insecure_channel(broker.grpc_addresses[0], options=options) as channel,
        ):
            tokens = pb_grpc.TokenServiceStub(channel)
            await token_of(tokens, "")
            assert {b"user:old"} == set(logins(squid))

            squid.heads.clear()
            password.write_text(f"http://user:new@127.0.0.1:{squid.port}")
            assert ReloadOutcome.APPLIED is await broker.reload.reload()
            await token_of(tokens, "ww1child")
            assert {b"user:new"} == set(logins(squid))

            squid.heads.clear()
            password.write_text(f"http://user:others@127.0.0.1:{other.port}")
            assert ReloadOutcome.APPLIED is await broker.reload.reload()
            await token_of(tokens, "ww2child")

    assert {b"user:new"} == set(logins(squid))
    assert [] == other.heads


async def test_a_dead_proxy_is_named_to_the_caller_without_its_password(tmp_path: Path) -> None:
    port = free_port()
    async with serving(
        "https://wecom.invalid", tmp_path, proxy=f"http://user:Marker@127.0.0.1:{port}"
    ) as tokens:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await token_of(tokens, "")

    assert "WECOM_UNAVAILABLE" == reason_of(refused.value)[0]
    assert f"the proxy 127.0.0.1:{port}" in (refused.value.details() or "")
    assert "Marker" not in str(refused.value)


async def test_a_name_that_cannot_be_resolved_is_named_to_the_caller(tmp_path: Path) -> None:
    async with serving("https://wecom.invalid", tmp_path) as tokens:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await token_of(tokens, "")

    assert "WECOM_UNAVAILABLE" == reason_of(refused.value)[0]
    assert "wecom.invalid cannot be resolved" in (refused.value.details() or "")


async def test_a_fixed_address_is_used_for_a_name_that_nobody_knows(tmp_path: Path) -> None:
    async with (
        fake_wecom(CHILDREN % b"a") as url,
        serving(
            url.replace("127.0.0.1", "wecom.invalid"), tmp_path, resolve={"wecom.invalid": ["127.0.0.1"]}
        ) as tokens,
    ):
        assert (await token_of(tokens, "ww2child")).token.value
