"""What gRPC itself would answer, the broker answers with a reason: malformed, too large, too eager."""

import asyncio
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.target_pb2 import Target

from broker.server.grpc import server
from broker.server.grpc.guard import LARGEST_REQUEST
from broker.simulator.demo import demo_world
from tests.integration.attacks import http2
from tests.kit.broker_here import broker_here
from tests.kit.processes.fleet import APP, until

GET = "/wecom_broker.v1.TokenService/GetAccessToken"
WATCH = "/wecom_broker.v1.TokenService/WatchAccessToken"
INTERVAL = "grpc.http2.min_ping_interval_without_data_ms"
UPLOAD = "/wecom_broker.v1.WecomApiService/UploadMedia"


def reason(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Return the reason and the field of an error."""
    [detail] = rpc_status.from_call(error).details
    info = ErrorInfo()
    assert detail.Unpack(info)
    return info.reason, info.metadata["field"]


async def send(channel: grpc.aio.Channel, method: str, body: bytes) -> None:
    """Send these very bytes as the method's first message."""
    if method == UPLOAD:
        await channel.stream_unary(method)(iter([body]))
    elif method == WATCH:
        await channel.unary_stream(method)(body).read()
    else:
        await channel.unary_unary(method)(body)


@pytest.mark.parametrize("method", [GET, WATCH, UPLOAD])
@pytest.mark.parametrize(
    "body",
    [b"\xff\xff\xff\xff", b"\x0a\xff", b"x" * (LARGEST_REQUEST + 1), b"\0" * (LARGEST_REQUEST + 4096)],
    ids=["no field", "half a field", "a byte too many", "4 kB too many"],
)
async def test_what_is_no_message_is_told_by_field(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], method: str, body: bytes
) -> None:
    async with (
        broker_here(tmp_path, demo_world()) as here,
        grpc.aio.insecure_channel(
            here.address, options=[("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
        ) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await send(channel, method, body)
        rpc = method.rpartition("/")[2]
        counted = f'wecom_broker_requests_total{{code="INVALID_ARGUMENT",rpc="{rpc}"}} 1.0'
        # It is counted once it has been answered.
        await until(lambda: counted in b"".join(here.broker.telemetry.metrics.exposition()).decode())

    assert ("INVALID_REQUEST", "request") == reason(refused.value)
    assert "Traceback" not in capfd.readouterr().err


def test_clients_may_ping_every_ten_seconds() -> None:
    assert dict(server.OPTIONS)[INTERVAL] <= 9_000, "a ping may come early, where the one before came late"


@pytest.mark.parametrize(("pause", "cut_off"), [(0.6, False), (0.1, True)])
async def test_who_pings_more_often_than_that_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: float, cut_off: bool
) -> None:
    monkeypatch.setattr(server, "OPTIONS", [*dict(server.OPTIONS, **{INTERVAL: 500}).items()])
    body = pb.WatchAccessTokenRequest(target=Target(app=APP)).SerializeToString()
    message = b"\0" + len(body).to_bytes(4, "big") + body
    seen: set[int] = set()

    async with broker_here(tmp_path, demo_world()) as here:
        reader, writer = await http2.connect(here.address)
        writer.write(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.request(WATCH)))
        writer.write(http2.frame(http2.DATA, http2.END_STREAM, 1, message))
        while http2.DATA not in seen:
            seen.add((await http2.read_frame(reader))[0])

        async def listen() -> None:
            with suppress(EOFError):
                while True:
                    seen.add((await http2.read_frame(reader))[0])

        listening = asyncio.create_task(listen())
        # Two pings that come too soon are forgiven.
        for _ in range(6):
            await asyncio.sleep(pause)
            writer.write(http2.frame(http2.PING, 0, 0, bytes(8)))
        if cut_off:
            await asyncio.wait_for(listening, 10)
        listening.cancel()
        writer.close()

    assert cut_off == (http2.GOAWAY in seen)
