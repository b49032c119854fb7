"""A broker that starts with 30,000 credentials in its Redis: how soon it serves, what it holds and spends.

The store is filled before, so WeCom is not asked. Bytes a credential are those by which the memory of a
broker that was asked for each is larger than that of one whose store has the share list alone.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psutil
import uvloop
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import admin_service_pb2_grpc as admin_grpc
from wecom_broker.v1 import target_pb2
from wecom_broker.v1 import token_service_pb2 as pb

from bench.processor import cpu_nanoseconds
from bench.rows import Row, tell
from bench.serving import METHOD
from broker.adapters.system import SystemClock
from broker.app.store import open_store
from broker.cli.demo.playground import APP
from broker.config.load import parse_config
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import StoreUnavailable
from broker.domain.secret import Secret
from broker.domain.shares import AppShare, ShareList
from broker.simulator.demo import PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world.world import World
from broker.telemetry.observer import Telemetry
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.redis_server import RedisServer

COUNT = int(os.environ.get("CREDENTIALS", "30000"))
SEAL_KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtISE="
LIFE = timedelta(hours=2)
AT_ONCE = 16
WRITTEN_AT_ONCE = 50
IDLE_SECONDS = 10.0
REFRESH_MS = 2.75
"""Processor time of one refresh, by `bench.item_costs`, which takes minutes."""
RENEWED_AT = 0.84
Ask = Callable[[bytes], Awaitable[object]]


@dataclass
class Found:
    """What one broker showed."""

    ready_seconds: float = 0.0
    first_call_ms: float = 0.0
    first_call_cpu_ms: float = 0.0
    loaded_seconds: float = 0.0
    loaded_cpu_us_each: float = 0.0
    bytes_held: int = 0
    idle_core: float = 0.0
    upstream_calls: int = 0


def child(number: int) -> str:
    """Return the corp id of a child."""
    return f"wwchild{number:09}"


async def fill(config: dict[str, Any], credentials: int) -> None:
    """Write the share list of all, and the tokens of so many of them."""
    clock = SystemClock()
    async with open_store(parse_config(config), clock, Telemetry(clock)) as storage:
        now, kind = clock.now(), ShareKind.CORP_GROUP
        fence = int(clock.seconds() * 1000)
        shares = [AppShare(kind, child(n), 1_000_000 + n, f"customer {n}") for n in range(COUNT)]
        for of_kind, listed in ((kind, shares), (ShareKind.SUPPLY_CHAIN, [])):
            await storage.share_lists.offer(ShareList(APP, of_kind, fence, now, tuple(listed)))

        async def write(credential: Credential) -> None:
            while True:
                with suppress(StoreUnavailable):
                    await storage.credentials.offer(credential)
                    return

        for start in range(0, credentials, WRITTEN_AT_ONCE):
            some = enumerate(shares[start : start + WRITTEN_AT_ONCE], start)
            await asyncio.gather(*(write(_credential(share, now, fence + n)) for n, share in some))


def _credential(share: AppShare, now: datetime, fence: int) -> Credential:
    key = CredentialKey(APP, share.corp_id, share.agent_id, share.share_kind)
    began = now - timedelta(seconds=60) + timedelta(milliseconds=fence % 60_000)
    return Credential(key, Secret(f"{fence:0214}"), fence, fence, began, began + LIFE, began)


@asynccontextmanager
async def filled(credentials: int) -> AsyncIterator[tuple[BrokerProcess, World]]:
    """Fill a Redis, and yield a broker that can be started on it."""
    with tempfile.TemporaryDirectory() as folder:
        world = demo_world()
        async with running_simulator(world) as url:
            with RedisServer(Path(folder) / "redis") as redis:
                app = {"name": APP, "corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": SECRET}
                config = {
                    "store": {"url": redis.url, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]},
                    "wecom": {"api_base": url},
                    "refresh": {"share_sync_seconds": 80_000},
                    "apps": [app],
                }
                await fill(config, credentials)
                broker = BrokerProcess(Path(folder) / "broker", config, log_level="warning")
                try:
                    yield broker, world
                finally:
                    broker.__exit__(None, None, None)


async def measure(credentials: int) -> Found:
    """Start a broker on a store with so many credentials, and ask for each of them."""
    found = Found()
    async with filled(credentials) as (broker, world):
        began = time.perf_counter()
        await asyncio.to_thread(broker.start)
        found.ready_seconds = time.perf_counter() - began
        assert broker.process
        pid = broker.process.pid
        async with grpc.aio.insecure_channel(broker.address) as channel:
            await channel.channel_ready()
            call = channel.unary_unary(METHOD)
            spent, asked = cpu_nanoseconds(pid), time.perf_counter()
            if credentials:
                await call(_request(credentials - 1))
                found.first_call_ms = (time.perf_counter() - asked) * 1000
                found.first_call_cpu_ms = (cpu_nanoseconds(pid) - spent) / 1e6
            admin = admin_grpc.AdminServiceStub(channel)
            while (await admin.GetStatus(admin_pb.GetStatusRequest())).credential_count < credentials:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            found.loaded_seconds = time.perf_counter() - began
            found.loaded_cpu_us_each = (cpu_nanoseconds(pid) - spent) / max(1, credentials) / 1000
            turns = iter(range(credentials))
            await asyncio.gather(*(_ask(call, turns) for _ in range(AT_ONCE)))
            found.bytes_held = psutil.Process(pid).memory_info().rss
            spent = cpu_nanoseconds(pid)
            await asyncio.sleep(IDLE_SECONDS)
            found.idle_core = (cpu_nanoseconds(pid) - spent) / 1e9 / IDLE_SECONDS
        found.upstream_calls = world.log.calls()
    return found


async def _ask(call: Ask, turns: Iterable[int]) -> None:
    for number in turns:
        await call(_request(number))


def _request(number: int) -> bytes:
    target = target_pb2.Target(app=APP, corp_id=child(number))
    return pb.GetAccessTokenRequest(target=target).SerializeToString()


def main() -> None:
    """Measure a broker with none and one with all, and tell."""
    none, every = uvloop.run(measure(0)), uvloop.run(measure(COUNT))
    refreshes = 30_000 / (LIFE.total_seconds() * RENEWED_AT) * REFRESH_MS / 1000
    of = f"{COUNT:,} credentials in Redis"
    tell(
        Row(
            "bytes a credential",
            (every.bytes_held - none.bytes_held) / COUNT,
            "B",
            f"{of}, each asked for once: memory beyond a broker that has the share list alone",
            at_most=1800,
        ),
        Row("restart: ready", every.ready_seconds, "s", f"{of}, by the clock", at_most=2),
        Row(
            "restart: first call",
            every.first_call_ms,
            "ms",
            f"by the clock, while all are loaded; processor time meanwhile {every.first_call_cpu_ms:.0f} ms",
            at_most=100,
        ),
        Row("restart: all in memory", every.loaded_seconds, "s", "since its start, by the clock", at_most=5),
        Row("restart: to load one", every.loaded_cpu_us_each, "µs", "processor time of the broker"),
        Row("restart: calls of WeCom", every.upstream_calls, "", "counted by the simulated WeCom", at_most=0),
        Row(
            "refresh of 30,000 over their life",
            100 * (refreshes + every.idle_core),
            "% of a core",
            f"{REFRESH_MS} ms each by bench.item_costs, and {100 * every.idle_core:.2f} % while nobody calls",
            at_most=2,
        ),
    )


if __name__ == "__main__":
    main()
