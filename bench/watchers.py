"""What 10,000 open watches cost a broker: memory, and how a rotation reaches all of them.

The same watches are opened at an empty handler on gRPC's own server, which registers one that waits and
writes: below that no handler can be. The client speaks plain HTTP/2 (`raw_watches`), so that it is not the
one who is busy.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import psutil
import uvloop
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc

from bench.processor import cpu_nanoseconds
from bench.raw_watches import Watches
from bench.rows import Row, tell
from bench.serving import REQUEST, EmptyServicer, in_process
from broker.server.grpc.server import OPTIONS
from tests.kit.processes.fleet import child, connect, running_fleet, target

WATCHES = int(os.environ.get("WATCHES", "10000"))
METHOD = "/wecom_broker.v1.TokenService/WatchAccessToken"
TRIGGER = "/wecom_broker.v1.TokenService/ReportInvalidToken"
MB = 1_000_000


class EmptyWatches(EmptyServicer):
    """Write the same message, and once more when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._rotated = asyncio.Event()
        self._answer = pb.WatchAccessTokenResponse(token=self._response.token)

    async def WatchAccessToken(
        self, request: pb.WatchAccessTokenRequest, context: object
    ) -> AsyncIterator[pb.WatchAccessTokenResponse]:
        """Write two messages, and stay open."""
        yield self._answer
        await self._rotated.wait()
        yield self._answer
        await asyncio.Event().wait()

    async def ReportInvalidToken(
        self, request: pb.ReportInvalidTokenRequest, context: object
    ) -> pb.ReportInvalidTokenResponse:
        """Have all watches write."""
        self._rotated.set()
        return pb.ReportInvalidTokenResponse()


@dataclass(frozen=True)
class Cost:
    """What so many watches cost a server."""

    bytes_each: float
    rotation_seconds: float
    rotation_us_each: float
    """Of the server's processor time."""


async def serve_empty(pipe: Connection) -> None:
    """Serve the empty handler."""
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    pb_grpc.add_TokenServiceServicer_to_server(EmptyWatches(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pipe.send(f"127.0.0.1:{port}")
    await asyncio.Event().wait()


async def measure(address: str, pid: int, request: bytes, rotate: Callable[[], Awaitable[object]]) -> Cost:
    """Open the watches, and have them told once."""
    process = psutil.Process(pid)
    before = process.memory_info().rss
    async with Watches(address, METHOD, request, WATCHES) as watches:
        await watches.all_have(1)
        await asyncio.sleep(1)
        after = process.memory_info().rss
        spent, began = cpu_nanoseconds(pid), time.perf_counter()
        await rotate()
        await watches.all_have(2)
        took = time.perf_counter() - began
        spent = cpu_nanoseconds(pid) - spent
    return Cost((after - before) / WATCHES, took, spent / WATCHES / 1000)


async def _of_empty(address: str, pid: int) -> Cost:
    async with grpc.aio.insecure_channel(address) as channel:
        return await measure(
            address,
            pid,
            REQUEST.SerializeToString(),
            lambda: channel.unary_unary(TRIGGER)(b""),
        )


async def _of_broker() -> Cost:
    with tempfile.TemporaryDirectory() as folder, running_fleet(Path(folder), 1, children=2) as fleet:
        broker = fleet.brokers[0]
        assert broker.process
        async with connect(broker.address) as (replica,):
            await replica.token(child(1))
            request = pb.WatchAccessTokenRequest(target=target(child(1))).SerializeToString()
            return await measure(
                broker.address, broker.process.pid, request, lambda: replica.refresh(child(1))
            )


def main() -> None:
    """Measure both, and tell."""
    with in_process(serve_empty, 0) as (address, pid):
        empty = uvloop.run(_of_empty(address, pid))
    own = uvloop.run(_of_broker())
    how = f"{WATCHES:,} watches; an empty handler of gRPC: "
    tell(
        Row(
            "10,000 watches: memory",
            own.bytes_each * 10_000 / MB,
            "MB",
            f"{how}{empty.bytes_each * 10_000 / MB:.0f} MB",
            at_most=150,
        ),
        Row(
            "a watch beyond an empty handler's",
            (own.bytes_each - empty.bytes_each) / 1000,
            "kB",
            "the difference of both",
        ),
        Row(
            "10,000 watches: the last is told",
            own.rotation_seconds * 10_000 / WATCHES,
            "s",
            f"{how}{empty.rotation_seconds * 10_000 / WATCHES:.2f} s",
            at_most=1,
        ),
        Row(
            "10,000 watches: processor time of a rotation",
            own.rotation_us_each / 100,
            "s",
            f"{how}{empty.rotation_us_each / 100:.2f} s",
            at_most=1,
        ),
    )


if __name__ == "__main__":
    main()
