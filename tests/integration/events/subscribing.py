"""Subscribers for the tests of events: what they hear over a real connection, and how they answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from wecom_broker.v1 import event_service_pb2 as pb
from wecom_broker.v1 import event_service_pb2_grpc as events_grpc

from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from tests.integration.acting.acting import Acting, acting
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.processes.fleet import PATIENCE, SEAL_KEY, until

CALLBACK = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
HR_CALLBACK = {"token": "TokenOfHr", "aes_key": "KeyOfHrForItsCallbacksWhichNobodyElseHas000"}
A, B, C = (f"ww1child{number:09d}" for number in (1, 2, 3))
CORPS = {"a": A, "b": B, "c": C}
_numbers = count(int(time.time() * 1000))


def text(corp_id: str, content: str) -> bytes:
    """Return a message of a user's; no two are the same."""
    return (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{content}]]></Content><MsgId>{next(_numbers)}</MsgId></xml>"
    ).encode()


def click(corp_id: str, key: str) -> bytes:
    """Return an event; no two are the same."""
    return (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[click]]></Event><EventKey>{key}</EventKey><Once>{next(_numbers)}</Once></xml>"
    ).encode()


class Stream:
    """An open subscription; what comes is read at once, unless it is to wait."""

    def __init__(self, call: Any, *, reads: bool = True) -> None:
        self.call = call
        self.got: list[pb.SubscribeEventsResponse] = []
        self.arrived: list[float] = []
        self._reading = asyncio.create_task(self._read()) if reads else None
        self.ended = False
        self.error: grpc.aio.AioRpcError | None = None

    @property
    def words(self) -> str:
        return " ".join(word_of(found) for found in self.got)

    @property
    def ids(self) -> list[str]:
        return [found.event.event_id for found in self.got]

    @property
    def counts(self) -> list[int]:
        return [found.delivery_count for found in self.got]

    def resume(self) -> None:
        """Read from now on."""
        self._reading = asyncio.create_task(self._read())

    async def stands(self) -> "Stream":
        """Return when it stands."""
        await asyncio.wait_for(self.call.initial_metadata(), PATIENCE)
        return self

    async def hears(self, words: str, within: float = PATIENCE) -> float:
        """Return when it got these, and nothing else; fail otherwise."""
        expected = len(words.split())
        try:
            took = await until(lambda: len(self.got) >= expected, within, 0.01)
        except AssertionError:
            raise AssertionError(f"heard {self.words!r} instead of {words!r}") from None
        assert words == self.words
        return took

    async def leaves(self) -> None:
        """Cancel the call."""
        self.call.cancel()
        if self._reading:
            await self._reading

    async def _read(self) -> None:
        try:
            async for message in self.call:
                self.got.append(message)
                self.arrived.append(time.monotonic())
        except grpc.aio.AioRpcError as error:
            self.error = error
        except asyncio.CancelledError:
            if not self.call.cancelled():
                raise
        finally:
            self.ended = True


def word_of(found: pb.SubscribeEventsResponse) -> str:
    """Return the word by which the test knows an event."""
    return found.event.fields.get("Content") or found.event.fields["EventKey"]


class Service:
    """A caller of the event service, over one connection."""

    def __init__(self, channel: grpc.aio.Channel, token: str = "") -> None:
        self.stub = events_grpc.EventServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._streams: list[Stream] = []

    def opens(self, group: str = "work", *, reads: bool = True, **wish: Any) -> Stream:
        """Return a subscription that may not stand yet."""
        request = pb.SubscribeEventsRequest(group=group, **wish)
        stream = Stream(self.stub.SubscribeEvents(request, metadata=self._metadata), reads=reads)
        self._streams.append(stream)
        return stream

    async def joins(self, group: str = "work", **wish: Any) -> Stream:
        """Return a subscription that stands."""
        return await self.opens(group, **wish).stands()

    async def acknowledges(self, ids: Sequence[str], group: str = "work") -> int:
        request = pb.AcknowledgeEventsRequest(group=group, event_ids=ids)
        answer = await self.stub.AcknowledgeEvents(request, metadata=self._metadata, timeout=20)
        return int(answer.acknowledged_count)

    async def dead(self, app: str = "crm", group: str = "work", **page: Any) -> pb.ListDeadEventsResponse:
        request = pb.ListDeadEventsRequest(group=group, app=app, **page)
        return await self.stub.ListDeadEvents(request, metadata=self._metadata, timeout=20)

    async def retries(self, ids: Sequence[str], group: str = "work") -> int:
        request = pb.RetryDeadEventsRequest(group=group, event_ids=ids)
        answer = await self.stub.RetryDeadEvents(request, metadata=self._metadata, timeout=20)
        return int(answer.retried_count)

    async def closes(self) -> None:
        for stream in self._streams:
            await stream.leaves()


class Wecom:
    """WeCom's side: it calls one broker back."""

    def __init__(self, sender: CallbackSender) -> None:
        self._sender = sender

    async def says(self, words: str) -> None:
        """Send a message for each word, "<corp><content>" as in "a1 a2 b1", one after the other."""
        for word in words.split():
            await self.sends(text(CORPS[word[0]], word))

    async def sends(self, message: bytes) -> None:
        status, body, _ = await self._sender.post(message)
        assert (200, "success") == (status, body)


@asynccontextmanager
async def calling_back(http_port: int, app: str = "crm") -> AsyncIterator[Wecom]:
    """Be WeCom to a broker, for the app `crm` or `hr`."""
    callback = HR_CALLBACK if app == "hr" else CALLBACK
    keys = CallbackKeys(callback["token"], callback["aes_key"])
    async with CallbackSender.open(f"http://127.0.0.1:{http_port}/callback/{app}", keys) as sender:
        yield Wecom(sender)


@asynccontextmanager
async def connected(address: str, token: str = "") -> AsyncIterator[Service]:
    """Connect to a broker."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        service = Service(channel, token)
        try:
            yield service
        finally:
            with suppress(grpc.aio.AioRpcError):
                await service.closes()


@asynccontextmanager
async def serving(
    folder: Path, redis_url: str = "", **tables: Any
) -> AsyncIterator[tuple[Acting, Service, Wecom]]:
    """Run a broker that is called back, with somebody connected to it."""
    if redis_url:
        tables["store"] = {"url": redis_url, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}
    async with (
        acting(folder, {"callback": CALLBACK}, **tables) as running,
        connected(running.broker.grpc_addresses[0]) as service,
        calling_back(running.broker.http_port) as wecom,
    ):
        yield running, service, wecom
