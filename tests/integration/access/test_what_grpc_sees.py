"""What gRPC itself would answer, the broker answers with a reason: malformed, too large, too eager."""

import asyncio
import time
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc
from wecom_broker.v1.target_pb2 import Target

from broker.server.grpc.guard import LARGEST_REQUEST
from broker.simulator.demo import demo_world
from tests.kit.broker_here import broker_here
from tests.kit.processes.fleet import APP, until

GET = "/wecom_broker.v1.TokenService/GetAccessToken"
WATCH = "/wecom_broker.v1.TokenService/WatchAccessToken"
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
        await until(lambda: counted in here.broker.telemetry.metrics.exposition().decode())

    assert ("INVALID_REQUEST", "request") == reason(refused.value)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
async def test_a_client_may_ping_every_ten_seconds(tmp_path: Path) -> None:
    options = [
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_http_proxy", 0),
    ]
    async with (
        broker_here(tmp_path, demo_world()) as here,
        grpc.aio.insecure_channel(here.address, options=options) as channel,
    ):
        watch = pb_grpc.TokenServiceStub(channel).WatchAccessToken(
            pb.WatchAccessTokenRequest(target=Target(app=APP))
        )
        assert await watch.read()
        ends = time.monotonic() + 45

        # Two pings that come too soon are forgiven: the third, after half a minute, would break the stream.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.read(), ends - time.monotonic())
