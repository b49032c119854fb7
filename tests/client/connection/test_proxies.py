"""Proxies that the environment names are for the web, not for the broker."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from wecom_broker import Broker, sync
from wecom_broker.errors import BrokerUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.client.fake_broker import FakeBroker

NAMES = ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]


class Proxy:
    """Listens, notes the first line of whoever connects, and hangs up."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._hear, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append((await reader.readline()).decode("latin-1").strip())
        writer.close()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """A proxy, which nothing exempts the broker from."""
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY", *NAMES):
        monkeypatch.delenv(name, raising=False)
    proxy = Proxy()
    async with proxy.running():
        yield proxy


@pytest.mark.parametrize("name", NAMES)
class TestByDefault:
    async def test_the_client_connects_directly(
        self, fake: FakeBroker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
    ):
        monkeypatch.setenv(name, proxy.url)
        async with Broker(fake.address) as broker:
            await broker.access_token("crm")

        assert [] == proxy.heard

    async def test_the_client_for_threads_connects_directly(
        self, fake: FakeBroker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
    ):
        monkeypatch.setenv(name, proxy.url)
        with sync.Broker(fake.address) as broker:
            await asyncio.to_thread(broker.access_token, "crm")

        assert [] == proxy.heard

    async def test_the_command_line_connects_directly(
        self, fake: FakeBroker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
    ):
        monkeypatch.setenv(name, proxy.url)
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "broker", "token", "get", "crm", "--address", fake.address),
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await command.communicate()

        assert 0 == command.returncode
        assert b"generation" in printed
        assert [] == proxy.heard


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
async def test_an_application_can_ask_for_the_proxy(
    fake: FakeBroker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, proxy.url)
    async with Broker(fake.address, trust_env=True) as broker:
        with pytest.raises(BrokerUnreachable):
            await broker.access_token("crm")

    assert f"CONNECT {fake.address} HTTP/1.1" in proxy.heard
