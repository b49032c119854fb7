"""TLS files that change while calls and streams are open."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from wecom_broker import Broker, Tls, sync
from wecom_broker._connection import renewal
from wecom_broker.errors import BrokerClosed, BrokerUnreachable
from wecom_broker.v1 import app_share_service_pb2 as shares_pb2
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb2

from tests.client.fake_broker import PATIENCE, FakeBroker
from tests.client.waiting import until
from tests.kit.processes.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

AUTHORITY = Authority()
CHANGES = renewal.KEPT + 1
"""After so many, the first channel is closed."""
BEARER = "a-bearer-token"


@pytest.fixture(autouse=True)
def looked_at_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "CHECK_SECONDS", 0.0)


@pytest.fixture
async def fake() -> AsyncIterator[FakeBroker]:
    """A fake broker behind TLS."""
    pair = AUTHORITY.sign(address="127.0.0.1")
    fake = FakeBroker()
    fake.server_credentials = grpc.ssl_server_credentials([(pair.private_key, pair.certificate)])
    fake.watches_shares_on = True
    fake.share_changes = [shares_pb2.WatchAppSharesResponse(snapshot_complete=True)]
    async with fake:
        yield fake


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    """The file of the CAs that the client trusts."""
    path = tmp_path / "ca.pem"
    path.write_bytes(AUTHORITY.pem)
    return path


@asynccontextmanager
async def client_of(fake: FakeBroker, trusted: Path, kind: str) -> AsyncIterator[Any]:
    if kind == "threads":
        client = sync.Broker(fake.address, tls=Tls(ca=trusted))
        yield client
        await asyncio.to_thread(client.close)
    else:
        token = BEARER if "bearer" in kind else None
        async with Broker(fake.address, tls=Tls(ca=trusted), token=token) as client:
            yield client


@pytest.fixture(params=["asyncio", "asyncio with a bearer token", "threads"])
async def client(fake: FakeBroker, trusted: Path, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A client of each kind."""
    async with client_of(fake, trusted, request.param) as client:
        yield client


@pytest.fixture(params=["asyncio", "asyncio with a bearer token"])
async def broker(fake: FakeBroker, trusted: Path, request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A client of asyncio, without and with a bearer token: gRPC makes the calls otherwise."""
    async with client_of(fake, trusted, request.param) as client:
        yield client


async def done(client: Any, method: str, *arguments: str) -> Any:
    """Return the answer to a call of either client."""
    call = getattr(client, method)
    if isinstance(client, Broker):
        return await call(*arguments)
    return await asyncio.to_thread(call, *arguments)


async def following(items: Any) -> Any:
    """Return what either client's stream has next."""
    async with asyncio.timeout(PATIENCE):
        if hasattr(items, "__anext__"):
            return await anext(items)
        return await asyncio.to_thread(next, items)


async def waiting_reader(fake: FakeBroker, items: Any) -> asyncio.Task[Any]:
    """Return a reader that has had the stream's first item, and waits for the next."""
    fake.come(1)
    await following(items)
    return asyncio.create_task(following(items))


async def changed(client: Any, trusted: Path, times: int = CHANGES) -> None:
    """Change the file so often, with a call after each change."""
    for _ in range(times):
        trusted.write_bytes(trusted.read_bytes() + Authority("another CA").pem)
        await done(client, "sync_app_shares", "crm")


STREAMS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "events": (lambda client: client.events("crm"), "SubscribeEvents"),
    "tokens": (lambda client: client.watch_access_token("crm"), "WatchAccessToken"),
    "shares": (lambda client: client.watch_app_shares("crm"), "WatchAppShares"),
}
streams = pytest.mark.parametrize(("opened", "method"), STREAMS.values(), ids=STREAMS)


@streams
async def test_a_reader_that_waits_sees_nothing_of_the_third_change(
    fake: FakeBroker, trusted: Path, client: Any, opened: Callable[[Any], Any], method: str
):
    waiting = await waiting_reader(fake, opened(client))
    await changed(client, trusted)
    fake.come(2)
    fake.rotate("crm")

    assert await waiting
    assert 2 == fake.calls[method]


@streams
async def test_a_reader_that_is_busy_during_three_changes_reads_on(
    fake: FakeBroker, trusted: Path, client: Any, opened: Callable[[Any], Any], method: str
):
    fake.come(1)
    items = opened(client)
    await following(items)
    await changed(client, trusted)
    fake.come(2)
    fake.rotate("crm")

    assert await following(items)
    assert 2 == fake.calls[method]


async def test_an_event_in_hand_during_three_changes_is_handled_once(
    fake: FakeBroker, trusted: Path, client: Any
):
    fake.come(1, 2)
    events = client.events("crm")
    seen = [await following(events)]
    await changed(client, trusted)
    fake.come(3)
    seen += [await following(events) for _ in range(2)]

    assert ["0000000000001", "0000000000002", "0000000000003"] == [event.event_id[4:17] for event in seen]


async def test_a_token_in_memory_is_kept_current_after_three_changes(
    fake: FakeBroker, trusted: Path, client: Any
):
    assert 1 == (await done(client, "access_token", "crm")).generation
    await changed(client, trusted)
    fake.rotate("crm")

    await until(lambda: 2 == getattr(client.held_token("crm"), "generation", 0))


@streams
async def test_closing_the_client_ends_a_stream_on_a_replaced_channel(
    fake: FakeBroker, trusted: Path, client: Any, opened: Callable[[Any], Any], method: str
):
    waiting = await waiting_reader(fake, opened(client))
    await changed(client, trusted, CHANGES - 1)
    await done(client, "close")

    with pytest.raises(BrokerClosed):
        await waiting
    assert 1 == fake.calls[method]


@streams
async def test_a_reader_that_is_cancelled_after_three_changes_is_cancelled(
    fake: FakeBroker, trusted: Path, broker: Broker, opened: Callable[[Any], Any], method: str
):
    waiting = await waiting_reader(fake, opened(broker))
    await changed(broker, trusted)
    await fake.until(lambda: 2 == fake.calls[method])
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_reader_that_is_cancelled_at_the_third_change_is_cancelled(
    fake: FakeBroker, trusted: Path, broker: Broker
):
    tokens = broker.watch_access_token("crm")
    await anext(tokens)
    waiting = asyncio.create_task(following(tokens))
    await changed(broker, trusted, CHANGES - 1)
    trusted.write_bytes(AUTHORITY.pem)
    assert broker.channel.current
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_call_that_the_third_change_ends_says_that_the_connection_broke(
    fake: FakeBroker, trusted: Path, broker: Broker
):
    fake.hold()
    waiting = asyncio.create_task(broker.sync_app_shares("crm"))
    await fake.until(lambda: 1 == fake.calls["SyncAppShares"])
    for _ in range(CHANGES):
        trusted.write_bytes(trusted.read_bytes() + Authority("another CA").pem)
        assert broker.channel.current

    with pytest.raises(BrokerUnreachable):
        await waiting
    fake.release()


async def test_a_download_that_the_third_change_ends_says_that_the_connection_broke(
    fake: FakeBroker, trusted: Path, broker: Broker
):
    fake.endless = True
    fake.pieces = [api_pb2.DownloadMediaResponse(chunk=b"the first piece")]
    async with broker.download_media("crm", "media-1") as download:
        pieces = download.pieces
        assert b"the first piece" == await anext(pieces)
        waiting = asyncio.create_task(anext(pieces))
        await changed(broker, trusted)

        with pytest.raises(BrokerUnreachable):
            await waiting


async def test_files_that_are_written_again_with_the_same_contents_change_nothing(
    fake: FakeBroker, trusted: Path, broker: Broker
):
    await broker.sync_app_shares("crm")
    before = broker.channel.current
    for number in range(CHANGES):
        copy = trusted.with_suffix(".copy")
        copy.write_bytes(trusted.read_bytes())
        copy.replace(trusted)
        os.utime(trusted, (number, number))
        await broker.sync_app_shares("crm")

    assert before is broker.channel.current
    assert CHANGES + 1 == fake.calls["SyncAppShares"]
