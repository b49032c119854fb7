"""What is sent again when something breaks, and what never is."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from wecom_broker import Broker
from wecom_broker._connection.retries import IDEMPOTENT, SERVICE_CONFIG
from wecom_broker.errors import BrokerUnreachable, WecomUnavailable
from wecom_broker.v1 import (
    app_share_service_pb2,
    callback_service_pb2,
    event_service_pb2,
    identity_service_pb2,
    js_sdk_service_pb2,
    mini_program_service_pb2,
    suite_service_pb2,
    token_service_pb2,
    wecom_api_service_pb2,
)

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.waiting import until
from tests.kit.processes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

DOWN = Refusal(grpc.StatusCode.UNAVAILABLE, "WECOM_UNAVAILABLE")
CODE = "c0de-that-works-once"

ONCE: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "ExchangeAuthCode": lambda broker: broker.user_from_code("crm", CODE),
    "ExchangeLoginCode": lambda broker: broker.mini_program_login("crm", CODE),
    "GetUserProfile": lambda broker: broker.user_profile("crm", CODE),
    "ConvertSession": lambda broker: broker.convert_session("crm", "ww1", user_id="z", session_key=CODE),
    "DeleteSession": lambda broker: broker.delete_session(CODE),
    "CallApi": lambda broker: broker.call("crm", "/cgi-bin/message/send", body={"text": CODE}),
    "UploadMedia": lambda broker: broker.upload_media("crm", "file", "a", CODE.encode()),
    "SyncAppShares": lambda broker: broker.sync_app_shares("crm"),
    "RetryDeadEvents": lambda broker: broker.retry_dead_events("g", ["crm:1-1"]),
    "CompleteInstallation": lambda broker: broker.complete_installation("market", CODE),
    "RefreshAuthorization": lambda broker: broker.refresh_authorization("market", "wp1"),
}
AGAIN: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "SignPage": lambda broker: broker.sign_page("crm", "https://crm.test/"),
    "SignConfig": lambda broker: broker.sign_config("crm", "https://crm.test/"),
    "SignAgentConfig": lambda broker: broker.sign_agent_config("crm", "https://crm.test/"),
    "BuildAuthorizeUrl": lambda broker: broker.authorize_url("crm", "https://crm.test/"),
    "BuildInstallUrl": lambda broker: broker.install_url("market", "https://crm.test/"),
    "ListAuthorizations": lambda broker: anext(broker.authorizations("market")),
    "GetAuthorization": lambda broker: broker.authorization("market", "wp1"),
    "DecryptData": lambda broker: broker.decrypt_data("5e55", "", ""),
    "VerifySignature": lambda broker: broker.verify_signature("5e55", "", ""),
    "GetSessionKey": lambda broker: broker.session_key("5e55"),
    "DownloadMedia": lambda broker: broker.download_media("crm", "media-1").__aenter__(),
    "SubscribeEvents": lambda broker: anext(broker.events("g")),
    "AcknowledgeEvents": lambda broker: broker.acknowledge_events("g", ["crm:1-1"]),
    "ListDeadEvents": lambda broker: anext(broker.dead_events("g", "crm")),
    "VerifyUrl": lambda broker: broker.verify_url(
        "crm", msg_signature="", timestamp="", nonce="", echostr=""
    ),
    "OpenEnvelope": lambda broker: broker.open_envelope("crm", b"", msg_signature="", timestamp="", nonce=""),
    "SealReply": lambda broker: broker.seal_reply("crm", "<xml/>"),
}
USED_BEFORE = {
    "GetAccessToken",
    "WatchAccessToken",
    "ReportInvalidToken",
    "ReportInvalidTicket",
    "ListAppShares",
    "WatchAppShares",
    "WatchAuthorizations",
}


@pytest.mark.parametrize("method", ONCE)
async def test_what_must_not_be_repeated_travels_once_though_the_broker_says_unavailable(
    fake: FakeBroker, broker: Broker, method: str
):
    fake.refusals[method] = DOWN

    with pytest.raises(WecomUnavailable):
        await ONCE[method](broker)
    assert {method: 1} == fake.calls


@pytest.mark.parametrize("method", AGAIN)
async def test_what_may_be_repeated_is_repeated(fake: FakeBroker, broker: Broker, method: str):
    fake.refusals[method] = DOWN

    with pytest.raises(WecomUnavailable):
        await AGAIN[method](broker)
    assert {method: 3} == fake.calls


def test_every_method_is_one_or_the_other():
    services = [
        service
        for module in (
            app_share_service_pb2,
            callback_service_pb2,
            event_service_pb2,
            identity_service_pb2,
            js_sdk_service_pb2,
            mini_program_service_pb2,
            suite_service_pb2,
            token_service_pb2,
            wecom_api_service_pb2,
        )
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    existing = {(service.full_name, method.name) for service in services for method in service.methods}
    repeated = {(name, method) for name, methods in IDEMPOTENT.items() for method in methods}

    assert set() == repeated - existing
    assert set(ONCE) == {method for _, method in existing - repeated}
    assert {*AGAIN, *USED_BEFORE} == {method for _, method in repeated}


SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
GOAWAY = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8)
"""The last stream that was taken is 0: no code of the server saw any call of this connection."""
REFUSED_STREAM = b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x07"
"""RST_STREAM of stream 1, the first call of a connection."""


class Peer(asyncio.Protocol):
    """Speak just enough HTTP/2 to take calls, and answer each with the next frame; then break connections."""

    def __init__(self, frames: Iterator[bytes], arrived: list[int], open_transports: set[object]) -> None:
        self._frames = frames
        self._arrived = arrived
        self._open = open_transports
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._open.add(transport)
        transport.write(SETTINGS)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if count := self._received.count(CODE.encode()):
            self._arrived.append(count)
            self._received = b""
            frame = next(self._frames, b"")
            self._transport.write(frame) if frame else self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._open.discard(self._transport)


@asynccontextmanager
async def peer(*frames: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """Yield the address of a peer, and a list that gets an entry for each call that arrives with the code."""
    arrived: list[int] = []
    open_transports: set[object] = set()
    script = iter(frames)
    loop = asyncio.get_running_loop()
    port = free_port()
    async with await loop.create_server(lambda: Peer(script, arrived, open_transports), "127.0.0.1", port):
        yield f"127.0.0.1:{port}", arrived
        await asyncio.sleep(0.01)  # what the client began to open before it closed
        await until(lambda: not open_transports)


class TestTransport:
    @pytest.mark.parametrize("method", ["ExchangeAuthCode", "ExchangeLoginCode", "CallApi", "UploadMedia"])
    async def test_a_connection_that_breaks_after_the_call_was_sent_is_no_reason_to_send_it_again(
        self, method: str
    ):
        async with peer() as (address, arrived), Broker(address) as broker:
            with pytest.raises(BrokerUnreachable):
                await ONCE[method](broker)

        assert [1] == arrived

    async def test_a_call_that_the_server_refused_to_take_is_not_sent_again_either(self):
        async with peer(REFUSED_STREAM) as (address, arrived), Broker(address) as broker:
            with pytest.raises(BrokerUnreachable):
                await broker.user_from_code("crm", CODE)

        assert [1] == arrived

    async def test_grpc_itself_sends_again_only_what_a_leaving_server_says_it_never_took_and_once(self):
        async with peer(GOAWAY, GOAWAY) as (address, arrived), Broker(address) as broker:
            with pytest.raises(BrokerUnreachable):
                await broker.user_from_code("crm", CODE)

        assert [1, 1] == arrived


def test_no_call_is_hedged_and_no_rule_is_for_all_methods() -> None:
    """A hedged call reaches several brokers at once; a rule for all would repeat calls that spend codes."""
    rules = json.loads(SERVICE_CONFIG)["methodConfig"]

    assert "hedgingPolicy" not in SERVICE_CONFIG
    assert all(name.get("service") and name.get("method") for rule in rules for name in rule["name"])
