"""A fleet to look at: three replicas, forty corps, one refusal, one group that lags."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import event_service_pb2 as pb
from wecom_broker.v1.event_service_pb2_grpc import EventServiceStub

from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT, SECRET
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import GETTOKEN, Fleet, Replica, child, connect, refused, running_fleet, until
from tests.kit.processes.ports import free_port

CORPS = 40
TOKEN = "the-token-of-the-console"
CALLERS: list[dict[str, Any]] = [
    {"name": "ops", "allow": [{"apps": ["*"], "actions": ["admin.read", "admin.refresh", "token.get"]}]},
    {"name": "orders", "allow": [{"apps": ["crm"], "actions": ["token.get", "event.subscribe"]}]},
    {
        "name": "console",
        "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "allow": [{"apps": ["*"], "actions": ["admin.read", "admin.refresh"]}],
    },
]
WHOSE = {"corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": SECRET}
CALLBACK = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
APPS = ({"name": "crm", "callback": CALLBACK, **WHOSE}, {"name": "hr", **WHOSE})
LAG_SECONDS = 11 * 60


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[str]:
    """Set it up, and yield the console's address, with the token in it."""
    port = free_port()
    sockets = {name: f"unix://{folder}/{name}.sock" for name in ("ops", "orders")}
    with running_fleet(folder, 2, children=CORPS, travelling=True, apps=APPS) as fleet:
        config = {
            **fleet.config,
            "server": {"grpc": [{"address": place, "caller": name} for name, place in sockets.items()]},
            "console": {"listen": f"127.0.0.1:{port}"},
            "callers": CALLERS,
        }
        third = BrokerProcess(folder / "third", config, ahead=fleet.ahead, forked=True)
        with third:
            third.await_ready()
            async with connect(*sockets.values()) as (ops, orders):
                await _use(fleet, ops, orders, f"http://127.0.0.1:{third.http_port}/callback/crm")
            yield f"http://operator:{TOKEN}@127.0.0.1:{port}/"


async def _use(fleet: Fleet, ops: Replica, orders: Replica, callback: str) -> None:
    for number in range(1, CORPS + 1):
        await ops.token(child(number))
    async with CallbackSender.open(callback) as sender:
        for number in range(1, 4):
            status, *_ = await sender.post(_message(number))
            assert 200 == status
        await sender.post(_message(4), tamper=lambda query, body: ({**query, "nonce": "another"}, body))
    asked = pb.SubscribeEventsRequest(group="fulfilment", apps=["crm"])
    subscription = EventServiceStub(orders.channel).SubscribeEvents(asked)
    async for _ in subscription:
        break
    subscription.cancel()
    fleet.advance(LAG_SECONDS)
    fleet.wecom.fault("errcode", GETTOKEN, errcode=50003)
    assert "APP_DISABLED" == (await refused(ops.of("hr").token())).reason
    assert "CALLER_NOT_ALLOWED" == (await refused(orders.of("hr").token())).reason

    async def all_have_reported() -> bool:
        found = (await ops.admin.ListReplicas(admin_pb.ListReplicasRequest())).replicas
        return [False] * 3 == [each.silent for each in found]

    await until(all_have_reported)


def _message(number: int) -> bytes:
    return (
        f"<xml><ToUserName><![CDATA[{child(1)}]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName>"
        f"<CreateTime>1790000000</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[order]]></Content><MsgId>{number}</MsgId><AgentID>1</AgentID></xml>"
    ).encode()
