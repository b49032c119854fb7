"""Another caller of the attacked broker: what it measures, and what fails for it. A process of its own."""

import asyncio
import gc
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import grpc
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import token_service_pb2_grpc as token_grpc
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb
from wecom_broker.v1 import wecom_api_service_pb2_grpc as api_grpc

from tests.integration.attacks.place import NEIGHBOUR, Place, bearer
from tests.kit.processes.fleet import CHILD_TOKEN, child, target

CALLS_A_SECOND = 100
"""Warm calls of the attacked broker; its twin gets as many, each half an interval later."""
PATIENCE_SECONDS = 30.0
"""What takes longer has failed, on a machine however busy."""
READ = "/cgi-bin/user/get"
CREDENTIALS = [("authorization", f"Bearer {bearer(NEIGHBOUR)}")]


@dataclass
class Sample:
    """What the neighbour saw in a while."""

    seconds: list[float] = field(default_factory=list)
    """Of warm calls."""
    twin_seconds: list[float] = field(default_factory=list)
    other_seconds: list[float] = field(default_factory=list)
    """Of what it does once a second: see `Neighbour._others`."""
    failures: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """What it had WeCom asked."""


class Neighbour:
    """Call on a schedule, whether or not earlier calls were answered: a stall is seen for all it lasts."""

    def __init__(self, place: Place, warm: grpc.aio.Channel, twin: grpc.aio.Channel) -> None:
        self._place = place
        self._channel = warm
        self._warm = token_grpc.TokenServiceStub(warm)
        self._twin = token_grpc.TokenServiceStub(twin)
        self._children: Iterator[int] = itertools.count(1)

    async def look(self, seconds: float, *, connects_anew: bool = True) -> Sample:
        """Call for so long; return once everything is answered."""
        sample = Sample()
        loop = asyncio.get_running_loop()
        began, interval = loop.time(), 1 / CALLS_A_SECOND
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(seconds * CALLS_A_SECOND)):
                at = began + number * interval
                await asyncio.sleep(at - loop.time())
                tasks.create_task(_timed(self._token(self._warm), sample.seconds, sample))
                if number % CALLS_A_SECOND == 0:
                    for other in self._others(sample, connects_anew=connects_anew):
                        tasks.create_task(_timed(other(), sample.other_seconds, sample))
                await asyncio.sleep(at + interval / 2 - loop.time())
                tasks.create_task(_timed(self._token(self._twin), sample.twin_seconds, sample))
        return sample

    def _others(self, sample: Sample, *, connects_anew: bool) -> list[Callable[[], Awaitable[object]]]:
        """Return what it does besides: a new connection, a probe, a call of WeCom, a cold child's token."""
        corp_id = child(next(self._children))
        sample.asked.update((READ, CHILD_TOKEN))
        return [
            *([self._connect_anew] if connects_anew else ()),
            self._probe,
            self._call_wecom,
            lambda: self._token(self._warm, corp_id),
        ]

    def _token(self, stub: token_grpc.TokenServiceStub, corp_id: str = "") -> Awaitable[object]:
        request = token_pb.GetAccessTokenRequest(target=target(corp_id))
        return stub.GetAccessToken(request, metadata=CREDENTIALS, timeout=PATIENCE_SECONDS)

    def _call_wecom(self) -> Awaitable[object]:
        request = api_pb.CallApiRequest(target=target(), path=READ, query={"userid": "zhangsan"})
        request.method = api_pb.HTTP_METHOD_GET
        stub = api_grpc.WecomApiServiceStub(self._channel)
        return stub.CallApi(request, metadata=CREDENTIALS, timeout=PATIENCE_SECONDS)

    async def _connect_anew(self) -> None:
        async with _channel(self._place.address) as channel:
            await self._token(token_grpc.TokenServiceStub(channel))

    async def _probe(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._place.http_port)
            try:
                writer.write(b"GET /livez HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
                if not (answer := await reader.read()).startswith(b"HTTP/1.1 200 "):
                    raise ConnectionError(f"/livez says {answer[:60]!r}")
            finally:
                writer.close()


async def _timed(call: Awaitable[object], seconds: list[float], sample: Sample) -> None:
    began = time.perf_counter()
    try:
        await call
    except (grpc.aio.AioRpcError, OSError, TimeoutError) as error:
        problem = error.details() if isinstance(error, grpc.aio.AioRpcError) else repr(error)
        sample.failures.append(f"{problem} after {time.perf_counter() - began:.1f} s")
    else:
        seconds.append(time.perf_counter() - began)


@asynccontextmanager
async def _channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


def be_neighbour(pipe: Connection, place: Place) -> None:
    """Answer each number of seconds from the pipe with what was seen in them, until it closes.

    With it comes whether to connect anew, too.
    """
    asyncio.run(_serve(pipe, place))


async def _serve(pipe: Connection, place: Place) -> None:
    async with _channel(place.address) as warm, _channel(place.twin) as twin:
        neighbour = Neighbour(place, warm, twin)
        await neighbour.look(0.5)
        # What was imported stays, and what is collected is little.
        gc.freeze()
        pipe.send("ready")
        while True:
            try:
                seconds, connects_anew = await asyncio.to_thread(pipe.recv)
            except EOFError:
                return
            pipe.send(await neighbour.look(seconds, connects_anew=connects_anew))
