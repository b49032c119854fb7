"""Somebody who writes to the store of the broker: what it finds there, and what it can do."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from redis.asyncio import Redis
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import token_service_pb2_grpc as token_grpc

from broker.domain.credentials import CredentialKey
from broker.simulator.demo import PARENT
from tests.integration.attacks.place import ATTACKER, VICTIMS, Place, bearer
from tests.kit.processes.fleet import APP, PREFIX, target

OF_AN_ATTACK = 8
ASKED_EVERY_SECONDS = 0.2


def victims(attack: int) -> list[str]:
    """Return the apps of an attack, whose tokens nobody has asked for before."""
    return list(VICTIMS[attack * OF_AN_ATTACK : (attack + 1) * OF_AN_ATTACK])


def credential(app: str = APP) -> str:
    """Return the name of an app's own token."""
    return CredentialKey(app, PARENT.corpid, PARENT.agentid).name


def milliseconds() -> int:
    """Return the present time, as fences and notices have it."""
    return time.time_ns() // 1_000_000


class Writer:
    """Writes to the store whatever it likes."""

    def __init__(self, redis: "Redis[Any]") -> None:
        self.redis = redis

    @staticmethod
    def record(name: str) -> str:
        """Return the key of a record."""
        return f"{PREFIX}:{{{name}}}:record"

    @staticmethod
    def lease(name: str) -> str:
        """Return the key of a lease."""
        return f"{PREFIX}:{{{name}}}:lease"

    async def notify(self, notice: str) -> None:
        """Forge a notice."""
        await self.redis.publish(f"{PREFIX}:notices", notice)

    async def put(self, name: str, **fields: str | bytes | int) -> None:
        """Write fields of a record, and tell all replicas of it."""
        await self.redis.hset(self.record(name), mapping=fields)  # type: ignore[misc]
        await self.notify(f"committed {milliseconds()} {name}")


@asynccontextmanager
async def writing(place: Place) -> AsyncIterator[Writer]:
    """Connect to the store."""
    async with Redis(port=place.redis_port) as redis:
        yield Writer(redis)


async def ask_for_tokens(place: Place, apps: list[str]) -> None:
    """Ask for the tokens of these apps again and again, without end."""

    async def ask(stub: token_grpc.TokenServiceStub, app: str) -> None:
        metadata = (("authorization", f"Bearer {bearer(ATTACKER)}"),)
        while True:
            request = token_pb.GetAccessTokenRequest(target=target(app=app))
            call: Awaitable[object] = stub.GetAccessToken(request, metadata=metadata, timeout=20)
            await asyncio.gather(call, return_exceptions=True)
            await asyncio.sleep(ASKED_EVERY_SECONDS)

    async with grpc.aio.insecure_channel(place.address) as channel, asyncio.TaskGroup() as tasks:
        for app in apps:
            tasks.create_task(ask(token_grpc.TokenServiceStub(channel), app))
