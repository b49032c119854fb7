"""Incidents that a caller notices or causes: it has no right, asks too often, or has tickets fetched."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from wecom_broker.v1 import js_sdk_service_pb2 as js
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceStub
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from tests.incidents.ground import Ground, Told, ground
from tests.kit.processes.fleet import refused, target

CHILD = "ww1child000000001"
OTHER_CHILD = "ww1child000000002"
ADMIN = [{"apps": ["*"], "corps": ["*"], "actions": ["admin.read", "admin.refresh"]}]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _callers(corps: list[str], **limits: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change after which orders may have tokens of these corps."""
    rule = {"apps": ["crm"], "corps": corps, "actions": ["token.get"]}
    orders = {"name": "orders", "token_sha256": _digest("orders"), "allow": [rule]}
    ops = {"name": "ops", "token_sha256": _digest("ops"), "allow": ADMIN}

    def change(config: dict[str, Any]) -> None:
        config["callers"] = [{**orders, "limits": limits} if limits else orders, ops]

    return change


@asynccontextmanager
async def _with_callers(
    folder: Path, told: Told, change: Callable[[dict[str, Any]], None]
) -> AsyncIterator[tuple[Ground, TokenServiceStub]]:
    bearer = folder / "ops"
    bearer.write_text("ops")
    socket = f"unix://{folder}/broker.sock"

    def on_a_socket(config: dict[str, Any]) -> None:
        change(config)
        config["server"]["grpc"] = [socket]

    async with (
        ground(folder, told, on_a_socket, address=socket, options=("--token", str(bearer))) as here,
        grpc.aio.insecure_channel(socket) as channel,
    ):
        yield here, TokenServiceStub(channel)


def _asks(stub: Any, corp_id: str) -> Any:
    request = pb.GetAccessTokenRequest(target=target(corp_id))
    return stub.GetAccessToken(request, metadata=(("authorization", "Bearer orders"),), timeout=30)


async def denied(folder: Path, told: Told) -> None:
    async with _with_callers(folder, told, _callers([CHILD])) as (here, stub):
        for _ in range(17):
            assert "CALLER_NOT_ALLOWED" == (await refused(_asks(stub, OTHER_CHILD))).reason
        remedy = await here.named(
            "WARN", "caller orders", f"token.get crm {OTHER_CHILD}", "WecomBrokerCallersTurnedAway"
        )
        assert "check-config --explain orders" in remedy
        await here.reload(_callers([CHILD, OTHER_CHILD]))
        assert (await _asks(stub, OTHER_CHILD)).token.value
        here.worked()


async def over_its_limit(folder: Path, told: Told) -> None:
    async with _with_callers(folder, told, _callers([CHILD], calls_per_minute=2)) as (here, stub):
        for _ in range(2):
            await _asks(stub, CHILD)
        for _ in range(15):
            assert "CALLER_LIMITED" == (await refused(_asks(stub, CHILD))).reason
        remedy = await here.named("WARN", "caller orders", "CALLER_LIMITED", "WecomBrokerCallerOverLimit")
        assert "raise limits of callers orders and reload" in remedy
        await here.reload(_callers([CHILD], calls_per_minute=6000))
        assert (await _asks(stub, CHILD)).token.value
        here.worked()


async def ticket_quota_spent(folder: Path, told: Told) -> None:
    """A caller reports valid tickets as dead; the rest of the hour's use came before."""

    def eager(config: dict[str, Any]) -> None:
        config["refresh"] = {"cooldown_seconds": 0.001}

    async with ground(folder, told, eager) as here:
        stub: Any = JsSdkServiceStub(here.crm.channel)
        await _sign_and_report(stub, 10)
        with sqlite3.connect(folder / "broker.db") as database:
            database.execute("UPDATE tallies SET count = 85 WHERE name LIKE '%ticket%' AND count >= 10")
        await stub.SignAgentConfig(js.SignAgentConfigRequest(target=target(), url="https://crm.example/"))
        remedy = await here.named("WARN", "jsapi_ticket", "anyone", "WecomBrokerTicketQuotaLow")
        assert "reports valid tickets as dead" in remedy
        # The caller is corrected: pages are signed as before, and the hour's use grows no more.
        for _ in range(5):
            await stub.SignConfig(js.SignConfigRequest(target=target(), url="https://crm.example/"))
        [line] = [found for found in await here.doctor() if found["subject"] == "jsapi_ticket"]
        assert "86 of 100 used" in line["problem"]
        here.worked()


async def _sign_and_report(stub: Any, count: int) -> None:
    for _ in range(count):
        signed = await stub.SignConfig(js.SignConfigRequest(target=target(), url="https://crm.example/"))
        report = js.ReportInvalidTicketRequest(
            target=target(), kind=js.TICKET_KIND_CORP, generation=signed.config.generation, errcode=40093
        )
        await stub.ReportInvalidTicket(report)
