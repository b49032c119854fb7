"""A broker with a callback endpoint: tests post to the endpoint and read the event log."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from wecom_broker.v1 import callback_service_pb2_grpc as callback_grpc
from wecom_broker.v1 import event_service_pb2 as event_pb
from wecom_broker.v1 import event_service_pb2_grpc as event_grpc

from broker.app.running_broker import RunningBroker
from broker.simulator.callbacks.cdata import document
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT
from broker.simulator.world import World
from tests.integration.acting.acting import APP, CHILD, CHILD_AGENT, Acting, acting, tables_of
from tests.kit.callbacks.sender import CallbackSender

CALLBACK = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
_numbers = count(10**15)


def text(corp_id: str = CHILD, **fields: str | int) -> bytes:
    """Return the message of a user of the corp; each one is different."""
    return document(
        **{
            "ToUserName": corp_id,
            "FromUserName": "lisi",
            "CreateTime": int(time.time()),
            "MsgType": "text",
            "Content": "hello",
            "MsgId": next(_numbers),
            "AgentID": CHILD_AGENT,
            **fields,
        }
    ).encode()


def event(name: str = "enter_agent", corp_id: str = CHILD, **fields: str | int) -> bytes:
    """Return an event of the corp."""
    return document(
        **{
            "ToUserName": corp_id,
            "FromUserName": "lisi",
            "CreateTime": int(time.time()),
            "MsgType": "event",
            "Event": name,
            "AgentID": CHILD_AGENT,
            **fields,
        }
    ).encode()


@dataclass(frozen=True)
class CallbackEndpoint:
    """The broker, with a sender for its callback URL."""

    acting: Acting
    sender: CallbackSender

    @property
    def world(self) -> World:
        return self.acting.world

    @property
    def broker(self) -> RunningBroker:
        return self.acting.broker

    @property
    def address(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self.broker.http_port}"

    @property
    def service(self) -> Any:
        """Return `CallbackService`."""
        return callback_grpc.CallbackServiceStub(self.acting.channel)  # type: ignore[no-untyped-call]

    async def log(self) -> list[event_pb.Event]:
        """Return all events written so far, in order."""
        last = text(PARENT.corpid, Content="the last one")
        assert (200, "success") == (await self.sender.post(last))[:2]
        found = []
        async for event in self.observe():
            if event.xml == last.decode():
                return found
            found.append(event)
        raise AssertionError("the stream ended")

    def observe(self) -> AsyncIterator[event_pb.Event]:
        """Yield the events of the log from its beginning, then new ones."""
        return looking_on(self.acting.channel)

    def counted(self) -> Counter[tuple[str, str]]:
        """Return the number of callbacks by app and outcome."""
        [metric] = self.broker.telemetry.metrics.callbacks.collect()
        return Counter(
            {
                (sample.labels["app"], sample.labels["outcome"]): int(sample.value)
                for sample in metric.samples
                if sample.name.endswith("_total") and sample.value
            }
        )


def looking_on(channel: grpc.aio.Channel, app: str = APP) -> AsyncIterator[event_pb.Event]:
    """Yield the events of the log from its beginning, then new ones."""
    request = event_pb.SubscribeEventsRequest(apps=[app], replay_from_time=Timestamp(seconds=1))
    stub: Any = event_grpc.EventServiceStub(channel)  # type: ignore[no-untyped-call]
    return _events(stub.SubscribeEvents(request, timeout=30))


async def _events(stream: Any) -> AsyncIterator[event_pb.Event]:
    async for answer in stream:
        yield answer.event


@asynccontextmanager
async def callback_door(
    folder: Path, callback: Mapping[str, Any] | None = None, **tables: Any
) -> AsyncIterator[CallbackEndpoint]:
    """Run a broker and a simulated WeCom; `callback` is added to the app's, the app `mute` has none."""
    [app] = tables_of("", folder)["apps"]
    apps = [{**app, "callback": {**CALLBACK, **(callback or {})}}, {**app, "name": "mute"}]
    async with acting(folder, **{"apps": apps, **tables}) as running:
        url = f"http://127.0.0.1:{running.broker.http_port}/callback/{APP}"
        async with CallbackSender.open(url) as sender:
            yield CallbackEndpoint(running, sender)
