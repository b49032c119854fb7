"""A fleet as operators run it: a simulated WeCom, a Redis and several brokers, each in its own process."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis import Redis
from wecom_broker.v1 import (
    admin_service_pb2 as admin_pb,
)
from wecom_broker.v1 import (
    admin_service_pb2_grpc,
    app_share_service_pb2_grpc,
    suite_service_pb2_grpc,
    target_pb2,
    token_service_pb2_grpc,
)
from wecom_broker.v1 import (
    app_share_service_pb2 as share_pb,
)
from wecom_broker.v1 import (
    token_service_pb2 as token_pb,
)

from broker.simulator.demo import PARENT, SECRET
from tests.kit.machine import nap
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.environment import environment
from tests.kit.processes.forked import SUPPORTED, ForkedProcess, template
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import RedisServer, die_with_parent
from tests.kit.time_bounds import TooSlow

APP = "crm"
PREFIX = "wecom-broker"
SEAL_KEY = base64.b64encode(b"a seal key of exactly 32 bytes!!").decode()
PATIENCE = 60.0
"""How many seconds `until` waits by default, on a busy machine, where no shorter time is promised."""
GETTOKEN = "/cgi-bin/gettoken"
LIST = "/cgi-bin/corpgroup/corp/list_app_share_info"
CHILD_TOKEN = "/cgi-bin/corpgroup/corp/gettoken"


def child(number: int) -> str:
    """Return the corp id of one of the simulator's `children`; the first is 1."""
    return f"ww2load{number:010d}"


class SimulatorProcess:
    """`wecom-broker simulate`, driven over its control API. A context manager."""

    def __init__(
        self, *, children: int = 0, token_lifetime: float = 7200.0, habit: str = "new_value_old_alive"
    ) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._options = [
            "--children",
            str(children),
            "--token-lifetime",
            str(token_lifetime),
            "--habit",
            habit,
        ]
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None

    def launch(self) -> None:
        """Start it, and return at once."""
        port = self.url.rpartition(":")[2]
        simulate = ["simulate", "--port", port, *self._options]
        if SUPPORTED:
            self._process = template().fork(simulate, Path(os.devnull), environment())
            return
        command = [sys.executable, "-m", "broker", *simulate]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env=environment(), preexec_fn=die_with_parent
        )

    def await_ready(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.control("GET", "calls")
            except OSError:
                if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                    raise AssertionError("the simulator of the tests does not start") from None
                time.sleep(0.02)
            else:
                return

    def control(self, method: str, name: str, **fields: object) -> dict[str, Any]:
        """Call its control API."""
        request = urllib.request.Request(
            f"{self.url}/_simulator/{name}",
            data=json.dumps(fields).encode() if fields else None,
            method=method,
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return dict(json.loads(answer.read()))

    def calls(self) -> dict[str, int]:
        """Return how often each endpoint was called."""
        return {path: counts["calls"] for path, counts in self.control("GET", "calls")["endpoints"].items()}

    def in_flight(self, path: str) -> int:
        """Return how many calls of an endpoint are waiting for their answer."""
        return int(self.control("GET", "calls")["endpoints"].get(path, {"in_flight": 0})["in_flight"])

    def most_in_flight(self, path: str) -> int:
        """Return the most calls of an endpoint that ever waited at once."""
        return int(self.control("GET", "calls")["endpoints"].get(path, {"max_in_flight": 0})["max_in_flight"])

    def forget_calls(self) -> None:
        """Reset the counts."""
        self.control("DELETE", "calls")

    def fault(self, kind: str, endpoint: str = "*", **fields: object) -> None:
        """Make calls fail or take longer."""
        self.control("POST", "faults", kind=kind, endpoint=endpoint, **fields)

    def mend(self) -> None:
        """End all faults."""
        self.control("DELETE", "faults")

    def kill_token(self, value: str) -> None:
        """Kill a token early."""
        assert self.control("POST", "kill", token=value)["killed"] == 1

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.launch()
        self.await_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


class Replica:
    """A client of one broker for one app: its services over one connection, without retries."""

    def __init__(self, channel: grpc.aio.Channel, app: str = APP) -> None:
        self.channel = channel
        self.app = app
        self.tokens = token_service_pb2_grpc.TokenServiceStub(channel)
        self.shares = app_share_service_pb2_grpc.AppShareServiceStub(channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        self.suites = suite_service_pb2_grpc.SuiteServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    def of(self, app: str) -> "Replica":
        """Return a client of the same broker for another app."""
        return Replica(self.channel, app)

    async def token(self, corp_id: str = "", *, timeout: float = 30.0) -> token_pb.AccessToken:  # noqa: ASYNC109
        """Return a token."""
        request = token_pb.GetAccessTokenRequest(target=target(corp_id, self.app))
        return (await self.tokens.GetAccessToken(request, timeout=timeout)).token

    async def report(
        self, token: token_pb.AccessToken, errcode: int = 40014, corp_id: str | None = None
    ) -> token_pb.ReportInvalidTokenResponse:
        """Report that WeCom refused a token."""
        corp_id = token.corp_id if corp_id is None else corp_id
        request = token_pb.ReportInvalidTokenRequest(
            target=target(corp_id, self.app), generation=token.generation, errcode=errcode
        )
        return await self.tokens.ReportInvalidToken(request, timeout=30)

    async def refresh(self, corp_id: str = "") -> admin_pb.RefreshCredentialResponse:
        """Have a new token fetched."""
        request = admin_pb.RefreshCredentialRequest(target=target(corp_id, self.app))
        return await self.admin.RefreshCredential(request, timeout=30)

    async def generations(self) -> dict[str, int]:
        """Return the generation of each token in the broker's memory, by corp id."""
        request = admin_pb.ListCredentialsRequest(app=self.app, page_size=1000)
        answer = await self.admin.ListCredentials(request, timeout=10)
        return {found.corp_id: found.generation for found in answer.credentials}

    async def all_shares(self, page_size: int = 100) -> list[share_pb.AppShare]:
        """Return the shares, collected page by page."""
        shares: list[share_pb.AppShare] = []
        page_token = ""
        while True:
            request = share_pb.ListAppSharesRequest(app=self.app, page_size=page_size, page_token=page_token)
            answer = await self.shares.ListAppShares(request, timeout=30)
            assert len(answer.shares) <= page_size
            shares += answer.shares
            page_token = answer.next_page_token
            if not page_token:
                return shares

    async def serving(self, service: str = "") -> bool:
        """Return whether `grpc.health.v1` reports SERVING."""
        answer = await self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass(frozen=True)
class Fleet:
    """The running processes."""

    wecom: SimulatorProcess
    redis: RedisServer
    brokers: Sequence[BrokerProcess]
    config: Mapping[str, Any]
    ahead: Path | None = None
    """Holds the seconds by which the clocks of travelling brokers are ahead."""

    def advance(self, seconds: float) -> None:
        """Set the clocks of WeCom and of all travelling brokers ahead, so much more than they are."""
        assert self.ahead
        before = float(self.ahead.read_text()) if self.ahead.exists() else 0.0
        written = self.ahead.with_suffix(".new")
        written.write_text(str(before + seconds))
        written.replace(self.ahead)
        self.wecom.control("POST", "clock", seconds=seconds)

    @asynccontextmanager
    async def replicas(self, app: str = APP) -> AsyncIterator[list[Replica]]:
        """Connect to every broker."""
        async with connect(*(broker.address for broker in self.brokers), app=app) as replicas:
            yield replicas

    def mend(self) -> None:
        """Restart or resume what a test has killed or stopped."""
        self.wecom.send(signal.SIGCONT)
        self.wecom.mend()
        self.redis.mend()
        dead = []
        for broker in self.brokers:
            if broker.process and broker.process.poll() is None:
                broker.send(signal.SIGCONT)
            else:
                broker.launch()
                dead.append(broker)
        for broker in dead:
            broker.await_ready()

    def record(self, name: str) -> dict[bytes, bytes]:
        """Return the record of this name in Redis; its payload is sealed."""
        with Redis(port=self.redis.port) as client:
            found: dict[bytes, bytes] = client.hgetall(f"{PREFIX}:{{{name}}}:record")
            return found

    def lease(self, name: str) -> bytes | None:
        """Return the owner of a lease in Redis."""
        with Redis(port=self.redis.port) as client:
            owner: bytes | None = client.get(f"{PREFIX}:{{{name}}}:lease")
            return owner

    def holder(self, name: str) -> BrokerProcess:
        """Return the broker that holds a lease, once it renews it; it must hold it that long."""
        owner = (self.lease(name) or b"nobody").decode()
        with Redis(port=self.redis.port) as client, client.monitor() as monitor:
            port = next(
                int(command["client_port"])
                for command in monitor.listen()
                if owner in command["command"] and command["client_port"].isdigit()
            )
        return next(broker for broker in self.brokers if port in broker.local_ports())


class Connections:
    """Connections to several addresses, closed together."""

    def __init__(self, addresses: Sequence[str], app: str) -> None:
        self._addresses = addresses
        self._app = app
        self._channels: list[grpc.aio.Channel] = []

    async def __aenter__(self) -> list[Replica]:
        # Subchannels are shared in a process: without a local pool, tests would share connections.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        self._channels = [grpc.aio.insecure_channel(address, options=options) for address in self._addresses]
        return [Replica(channel, self._app) for channel in self._channels]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels:
            await channel.close()


def connect(*addresses: str, app: str = APP) -> Connections:
    """Connect to brokers by address, to get tokens of the app."""
    return Connections(addresses, app)


def configuration(
    wecom_url: str,
    store_url: str,
    apps: Sequence[str | Mapping[str, Any]] = (APP,),
    app: Mapping[str, Any] | None = None,
    **tables: Any,
) -> dict[str, Any]:
    """Return a configuration with the simulator's app under one or more names; `tables` are added to it.

    Each name has its own credentials: those of a new name are cold. An app that is no name is taken as it is.
    """
    config: dict[str, Any] = {
        "store": {"url": store_url, "prefix": PREFIX, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]},
        "wecom": {"api_base": wecom_url, "timeout_seconds": 20},
        "apps": [
            {
                "name": name,
                "corp_id": PARENT.corpid,
                "agent_id": PARENT.agentid,
                "secret": SECRET,
                **(app or {}),
            }
            if isinstance(name, str)
            else name
            for name in apps
        ],
    }
    for name, table in tables.items():
        config[name] = {**config.get(name, {}), **table} if isinstance(table, Mapping) else table
    return config


@contextmanager
def running_fleet(
    folder: Path,
    brokers: int = 3,
    *,
    children: int = 0,
    token_lifetime: float = 7200.0,
    habit: str = "new_value_old_alive",
    append_only: bool = False,
    patient: bool = False,
    travelling: bool = False,
    **tables: Any,
) -> Iterator[Fleet]:
    """Run the whole fleet inside the block.

    `patient` brokers wait long for a Redis that is slow; `travelling` ones too, and they follow
    `Fleet.advance`.
    """
    with ExitStack() as stack:
        wecom = SimulatorProcess(children=children, token_lifetime=token_lifetime, habit=habit)
        stack.push(wecom.__exit__)
        wecom.launch()
        redis = stack.enter_context(RedisServer(folder / "redis", append_only=append_only))
        config = configuration(wecom.url, redis.url, **tables)
        ahead = folder / "ahead" if travelling else None
        workers = config.get("server", {}).get("workers")
        processes = [
            BrokerProcess(
                folder / f"broker-{number}",
                config,
                patient=patient,
                ahead=ahead,
                forked=not workers,
            )
            for number in range(brokers)
        ]
        for process in processes:
            stack.push(process.__exit__)
            process.launch()
        wecom.await_ready()
        for process in processes:
            process.await_ready()
        yield Fleet(wecom, redis, processes, config, ahead)


def target(corp_id: str = "", app: str = APP, **fields: Any) -> target_pb2.Target:
    """Return the target of a call."""
    return target_pb2.Target(app=app, corp_id=corp_id, **fields)


@dataclass(frozen=True)
class Refusal:
    """The failure of a call, as its caller reads it."""

    code: grpc.StatusCode
    reason: str
    metadata: Mapping[str, str]
    retry_seconds: float | None
    message: str


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Read the details of a failed call."""
    reason, metadata, retry = "", {}, None
    for name, value in error.trailing_metadata() or ():
        if name != "grpc-status-details-bin":
            continue
        for packed in status_pb2.Status.FromString(value).details:
            info, wait = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            if packed.Unpack(info):
                assert "wecom-broker" == info.domain
                reason, metadata = info.reason, dict(info.metadata)
            elif packed.Unpack(wait):
                retry = wait.retry_delay.ToTimedelta().total_seconds()
    return Refusal(error.code(), reason, metadata, retry, error.details() or "")


async def refused(call: Awaitable[object]) -> Refusal:
    """Return the call's refusal; fail if the call succeeds."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    raise AssertionError(f"the call was to fail and returned {type(answer).__name__}")


async def until(
    fact: Callable[[], bool] | Callable[[], Awaitable[bool]], within: float = PATIENCE, pause: float = 0.02
) -> float:
    """Wait until the fact is true, and return the seconds that it took; fail if it does not become true.

    Seconds in which the machine was busy with other work do not count.
    """
    began = time.monotonic()
    while True:
        found = fact()
        if not isinstance(found, bool):
            found = await found
        if found:
            return time.monotonic() - began
        if time.monotonic() - began > within:
            raise TooSlow(f"did not come true within {within} s")
        began += await nap(pause)
