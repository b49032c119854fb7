"""A token asked for without a client, which would remember it."""

from typing import Any

import grpc.aio
from wecom_broker.v1 import target_pb2, token_service_pb2, token_service_pb2_grpc

from tests.kit.broker_here import BrokerHere
from tests.kit.processes.fleet import APP


async def ask(here: BrokerHere, token: str = "", *, app: str = APP, traceparent: str = "") -> None:
    """Ask for a token. Raises `AioRpcError`."""
    carried = {"authorization": f"Bearer {token}" if token else "", "traceparent": traceparent}
    metadata = [(name, value) for name, value in carried.items() if value]
    request = token_service_pb2.GetAccessTokenRequest(target=target_pb2.Target(app=app))
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub: Any = token_service_pb2_grpc.TokenServiceStub(channel)
        await stub.GetAccessToken(request, metadata=metadata, timeout=20)
