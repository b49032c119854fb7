"""Incidents of what WeCom pushes: callbacks with another Token, events that nobody can handle."""

import shlex
from pathlib import Path
from typing import Any

from wecom_broker.v1 import event_service_pb2 as pb
from wecom_broker.v1.event_service_pb2_grpc import EventServiceStub

from broker.simulator import Callback
from broker.simulator.callbacks.sender import send_event
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_KEYS, PARENT
from tests.incidents.ground import Ground, Told, ground

NEW_TOKEN = "ANewTokenInTheConsole"


async def _writes(here: Ground, count: int = 1) -> None:
    """Have a member write to the app so often."""
    await send_event(here.world, "text", PARENT.corpid, "zhangsan", PARENT, count=count)


async def token_changed(folder: Path, told: Told) -> None:
    async with ground(folder, told) as here:
        changed = CallbackKeys(NEW_TOKEN, CALLBACK_AES_KEY)
        here.world.callbacks.set(Callback(f"{here.callbacks}/crm", changed))
        await _writes(here, 3)
        remedy = await here.named(
            "FAIL", "callback crm", "refused by signature", "WecomBrokerCallbacksRefused"
        )
        assert "compare Token with 接收消息" in remedy
        callback = {"token": NEW_TOKEN, "aes_key": CALLBACK_KEYS.encoding_aes_key}
        await here.reload(lambda config: config["apps"][0].update(callback=callback))
        accepted = here.broker.telemetry.metrics.callbacks.labels("crm", "accepted")
        before = _count(accepted)
        await _writes(here)
        assert before + 1 == _count(accepted)
        here.worked()


async def events_given_up(folder: Path, told: Told) -> None:
    def impatient(config: dict[str, Any]) -> None:
        config["events"] = {"max_tries": 1, "ack_timeout_seconds": 1}

    async with ground(folder, told, impatient) as here:
        stub: Any = EventServiceStub(here.crm.channel)
        stream = stub.SubscribeEvents(pb.SubscribeEventsRequest(group="work", apps=["crm"]))
        await stream.initial_metadata()
        await _writes(here)
        given = await stream.read()
        remedy = await here.named("WARN", "group anyone/work of crm", "1 dead", "WecomBrokerEventsGivenUp")
        event_id = given.event.event_id
        assert event_id in await here.carried_out(remedy)
        # The subscriber is corrected.
        assert "1 event queued" in await here.typed(*shlex.split(f"events retry anyone/work {event_id}"))
        again = await stream.read()
        assert event_id == again.event.event_id
        acknowledge = pb.AcknowledgeEventsRequest(group="work", event_ids=[event_id])
        assert 1 == (await stub.AcknowledgeEvents(acknowledge)).acknowledged_count
        assert not [found for found in await here.doctor() if found["subject"].startswith("group")]
        here.worked()


def _count(counter: Any) -> float:
    return float(counter._value.get())
