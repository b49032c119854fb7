"""Callback keys, watermarks and the apps of open event streams follow a reload."""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb
from wecom_broker.v1 import mini_program_service_pb2_grpc as mini_grpc

from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.config.schema import Config
from broker.domain.replica.health import ReloadOutcome
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import PARENT, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world import World
from broker.simulator.world.people.mini_program import APP_ID, encrypt_data
from tests.integration.acting.acting import refusal_of, tables_of
from tests.integration.events.subscribing import (
    CALLBACK,
    HR_CALLBACK,
    Service,
    calling_back,
    connected,
    text,
)
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.processes.fleet import until

DOES_NOT_OPEN, FORBIDDEN, GONE = 400, 403, 404
RENEWED = {"token": "TokenAfterTheReload", "aes_key": "KeyAfterTheReloadWhichNobodyElseHasSoFar000"}


@dataclass
class Reloadable:
    """A broker in this process, and what its file says."""

    world: World
    broker: RunningBroker
    tables: dict[str, Any]
    read: list[Config] = field(default_factory=list)

    def app(self, name: str = "crm", **changes: Any) -> dict[str, Any]:
        return {**self.tables["apps"][0], "name": name, **changes}

    async def reload(self, *apps: dict[str, Any], **tables: Any) -> None:
        self.read.append(parse_config({**self.tables, "apps": list(apps), **tables}))
        assert ReloadOutcome.APPLIED is await self.broker.reload.reload()
        status = self.broker.telemetry.replica_health.config
        assert () == status.restart_needed

    @asynccontextmanager
    async def called_back_with(self, keys: dict[str, str], app: str = "crm") -> AsyncIterator[CallbackSender]:
        url = f"http://127.0.0.1:{self.broker.http_port}/callback/{app}"
        async with CallbackSender.open(url, CallbackKeys(keys["token"], keys["aes_key"])) as sender:
            yield sender


@asynccontextmanager
async def reloadable(folder: Path, app: dict[str, Any], **tables: Any) -> AsyncIterator[Reloadable]:
    world = demo_world()
    async with running_simulator(world) as url:
        given = {**tables_of(url, folder, app), **tables}
        read: list[Config] = []
        async with running_broker(parse_config(given), lambda: read[-1]) as broker:
            yield Reloadable(world, broker, given, read)


async def statuses(sender: CallbackSender) -> tuple[int, int]:
    """Return how a message and a verification of the URL are answered."""
    return (await sender.post(text(PARENT.corpid, "hello")))[0], (await sender.verify())[0]


@pytest.mark.parametrize(("changed", "refusal"), [("token", FORBIDDEN), ("aes_key", DOES_NOT_OPEN)])
async def test_a_callback_is_opened_with_the_keys_of_now(tmp_path: Path, changed: str, refusal: int) -> None:
    taken, refused = (200, 200), (refusal, refusal)
    renewed = {**CALLBACK, changed: RENEWED[changed]}
    async with (
        reloadable(tmp_path, {"callback": CALLBACK}) as running,
        running.called_back_with(CALLBACK) as before,
        running.called_back_with(renewed) as after,
        connected(running.broker.grpc_addresses[0]) as service,
    ):
        stream = await service.joins(apps=["crm"])
        assert (taken, refused) == (await statuses(before), await statuses(after))
        await running.reload(running.app(callback=renewed))

        assert (refused, taken) == (await statuses(before), await statuses(after))
        await stream.hears("hello hello")
        await running.reload(running.app(callback=CALLBACK))
        assert (taken, refused) == (await statuses(before), await statuses(after))
        await stream.hears("hello hello hello")


async def test_a_callback_that_is_taken_away_is_gone(tmp_path: Path) -> None:
    async with (
        reloadable(tmp_path, {"callback": CALLBACK}) as running,
        running.called_back_with(CALLBACK) as sender,
    ):
        without = running.app()
        del without["callback"]
        await running.reload(without)

        assert (GONE, GONE) == await statuses(sender)


async def test_a_watermark_is_the_one_of_now(tmp_path: Path) -> None:
    async with (
        reloadable(tmp_path, {}) as running,
        grpc.aio.insecure_channel(running.broker.grpc_addresses[0]) as channel,
    ):
        stub = mini_grpc.MiniProgramServiceStub(channel)
        code = running.world.people.js_code(PARENT.corpid, "zhangsan")
        login = await stub.ExchangeLoginCode(mini_pb.ExchangeLoginCodeRequest(app="crm", js_code=code))
        session_id = login.session.session_id
        key = (await stub.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=session_id))).session_key
        fields = {"phone": "1", "watermark": {"appid": APP_ID, "timestamp": int(running.world.now()) - 3600}}
        data, iv = encrypt_data(key, fields, os.urandom(16))

        def decrypt() -> Any:
            request = mini_pb.DecryptDataRequest(session_id=session_id, encrypted_data=data, iv=iv)
            return stub.DecryptData(request)

        assert fields == json.loads((await decrypt()).plaintext)
        for demanded, accepted in (
            ({"app_id": "wx0000000000000000"}, False),
            ({"app_id": APP_ID}, True),
            ({"app_id": APP_ID, "max_age_seconds": 300}, False),
            ({"app_id": APP_ID, "max_age_seconds": 7200}, True),
        ):
            await running.reload(running.app(mini_program=demanded))
            if accepted:
                assert fields == json.loads((await decrypt()).plaintext)
            else:
                assert "DATA_REJECTED" == (await refusal_of(decrypt()))[0]


def may_subscribe_to(*apps: str, action: str = "event.subscribe") -> list[dict[str, Any]]:
    rule = {"apps": list(apps), "corps": ["*"], "actions": [action]}
    return [{"name": "orders", "token_sha256": hashlib.sha256(b"orders").hexdigest(), "allow": [rule]}]


async def streams_of_all_apps(stack: AsyncExitStack, running: Reloadable) -> tuple[Service, list[Any]]:
    """Return a group's stream and an observer's, which name no app."""
    service = await stack.enter_async_context(connected(running.broker.grpc_addresses[0], "orders"))
    return service, [await service.joins("work"), await service.joins("")]


async def test_streams_of_all_apps_follow_the_apps_and_the_rights(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            reloadable(tmp_path, {"callback": CALLBACK}, callers=may_subscribe_to("crm"))
        )
        crm, hr = running.app(), running.app("hr", callback=HR_CALLBACK)
        service, streams = await streams_of_all_apps(stack, running)
        at_crm = await stack.enter_async_context(calling_back(running.broker.http_port, "crm"))
        at_hr = await stack.enter_async_context(calling_back(running.broker.http_port, "hr"))

        async def heard(words: str) -> None:
            for stream in streams:
                await stream.hears(words)

        await at_crm.says("a1")
        await running.reload(crm, hr, callers=may_subscribe_to("crm"))
        await at_hr.says("a2")
        await at_crm.says("a3")
        await heard("a1 a3")
        await running.reload(crm, hr, callers=may_subscribe_to("crm", "hr"))
        # The event came before the right did, but after the streams were opened.
        await heard("a1 a3 a2")
        await at_hr.says("b1")
        await heard("a1 a3 a2 b1")
        await service.acknowledges(streams[0].ids)

        await running.reload(crm, callers=may_subscribe_to("crm", "hr"))
        async with running.called_back_with(HR_CALLBACK, "hr") as sender:
            assert (GONE, GONE) == await statuses(sender)
        await at_crm.says("a4")
        await heard("a1 a3 a2 b1 a4")

        # One app for another, with its right: no moment without any.
        await running.reload(hr, callers=may_subscribe_to("hr"))
        await at_hr.says("b2")
        await heard("a1 a3 a2 b1 a4 b2")
        assert not any(stream.ended for stream in streams)


async def test_streams_of_all_apps_end_with_the_last_right_and_with_the_last_callback(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            reloadable(tmp_path, {"callback": CALLBACK}, callers=may_subscribe_to("crm"))
        )
        silent = running.app()
        del silent["callback"]
        for apps, callers, reason in (
            ([running.app()], may_subscribe_to("crm", action="share.read"), "CALLER_NOT_ALLOWED"),
            ([silent], may_subscribe_to("crm"), "INVALID_REQUEST"),
        ):
            await running.reload(running.app(), callers=may_subscribe_to("crm"))
            _, streams = await streams_of_all_apps(stack, running)
            await running.reload(*apps, callers=callers)
            for stream in streams:
                await until(lambda stream=stream: stream.ended)  # type: ignore[misc]
                assert stream.error
                assert reason == (await refusal_of(stream.call.read()))[0]
