"""Whatever is secret, and however it enters: nothing of it is in plain text but on the wire and in memory.

What is planted: each secret of the configuration (`planted`), all that WeCom makes, all that callers and
callbacks send. What is done: all kinds of apps, every RPC, every callback, faults of WeCom, of a proxy and of
strangers, and a crash, at debug level. Where it is searched: `left_behind`, and what callers are told.
"""

import asyncio
import json
import os
import re
import resource
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from wecom_broker import Broker, Tls

from broker.simulator import EventKind, World
from broker.simulator.callbacks.suite_sender import send_system_event
from broker.simulator.provider_demo import PARENT, child
from broker.simulator.server import running_simulator
from tests.integration.conftest import Figures
from tests.integration.secrecy.configured import configured, needles_of
from tests.integration.secrecy.made_by_wecom import (
    NAMES,
    Noted,
    check_that_all_kinds_are_among,
    permanent_codes_of,
)
from tests.integration.secrecy.planted import NO_SECRET_TYPE, SECRET_KEYS, Planted, Way, tls
from tests.integration.secrecy.service import (
    BEARER,
    ENDPOINTS,
    FAULTS,
    METADATA,
    OWNED_AND_COLD,
    Service,
)
from tests.integration.suites.three_kinds import (
    ACME,
    CRM,
    MARKET,
    TAILORED,
    Kinds,
    call_back,
    installed,
    three_kinds_world,
)
from tests.kit.every_rpc import methods, reflected
from tests.kit.http_proxy import Proxy, proxy
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.certificates import Authority
from tests.kit.processes.left_behind import Monitor, left_behind
from tests.kit.processes.redis_server import RedisServer
from tests.kit.secrecy import forms, leaks

REDIS_PASSWORD = "the-password-of-the-redis-user"
OF_REDIS_ALONE = {"store.password"}
OF_SENTINELS = {"store.sentinel_password"}
"""It needs sentinels: `test_sentinel_password`."""

pytestmark = pytest.mark.slow


FORMS = 5
"""How many forms a secret has at least in which it may be found."""


@dataclass
class Run:
    """What services did, what was secret in it, and where it might be found."""

    needles: dict[str, list[bytes]]
    haystacks: Mapping[str, bytes]
    logs: list[str]
    answers: int
    ways: Mapping[str, set[Way]]
    """In which ways each secret of the configuration entered."""
    crash: int
    """How the broker that crashed ended, as waitid says."""


STORES = ("redis", "sqlite")


@pytest.fixture(scope="module", params=STORES)
def run(request: pytest.FixtureRequest, runs: Mapping[str, Run]) -> Run:
    """Return what was done on each store."""
    return runs[request.param]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    """Let two replicas on Redis, and a broker on SQLite beside them, do all they can for suites."""
    with ExitStack() as stack:
        # A core would be written, if that were left to this process.
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_CORE, (soft, hard))
        on_redis, on_sqlite = (tmp_path_factory.mktemp(f"secrecy-{store}") for store in STORES)
        users = on_redis / "users.acl"
        users.write_text(
            f"user default on nopass ~* &* +@all\nuser broker on >{REDIS_PASSWORD} ~* &* +@all\n"
        )
        redis = stack.enter_context(
            RedisServer(on_redis / "redis", "--aclfile", str(users), append_only=True)
        )
        monitor = Monitor(redis.port)
        monitor.start()
        url = redis.url.replace("//", f"//broker:{REDIS_PASSWORD}@", 1)
        (on_sqlite / "store").mkdir()

        async def both() -> list[Run]:
            return await asyncio.gather(
                _run(on_redis, url, 2, redis, monitor),
                _run(on_sqlite, f"sqlite:///{on_sqlite}/store/broker.db", 1, None, None),
            )

        return dict(zip(STORES, asyncio.run(both()), strict=True))


async def _run(
    folder: Path, store: str, replicas: int, redis: RedisServer | None, monitor: Monitor | None
) -> Run:
    world, noted = three_kinds_world(), Noted()
    world.randomness._source = noted
    planted = Planted(folder / "planted")
    authority = Authority()
    async with running_simulator(world) as url, proxy() as forward:
        with ExitStack() as stack:
            config = _config(url, store, folder / "audit.log", forward.port)
            config["server"]["tls"] = tls(folder, authority, planted.needles)
            configs = [planted.plant(each) for each in [config, _with_password_apart(config)][:replicas]]
            brokers = [
                BrokerProcess(folder / f"broker-{number}", config, variables=planted.variables)
                for number, config in enumerate(configs)
            ]
            for broker in brokers:
                stack.push(broker.__exit__)
                broker.launch()
            await asyncio.gather(*(asyncio.to_thread(broker.await_ready) for broker in brokers))
            permanent_codes: set[str] = set()
            services, events, reflection = [], [], b""
            async for service in _serve(world, url, brokers, authority, forward):
                services.append(service)
                permanent_codes |= permanent_codes_of(world)
                await service.call_everything()
                await service.be_called_back()
                events += await service.look()
                reflection += await reflected(service.channel, METADATA)
            all_told = [line for service in services for line in service.told]
            haystacks = {
                **left_behind(folder, brokers, redis, monitor),
                "what callers were told": "\n".join(all_told).encode(),
                "what reflection says": reflection,
                "events": "\n".join(f"{event.fields} {event.xml}" for event in events).encode(),
                "how callbacks were answered": "\n".join(
                    str(attempt) for each in world.callbacks.outbox.deliveries for attempt in each.attempts
                ).encode(),
            }
            crash = await asyncio.to_thread(crashed, brokers[0])
            for broker in brokers:
                if broker is not brokers[0]:
                    await asyncio.to_thread(broker.stop)
                haystacks[f"{broker.log} at the end"] = broker.log.read_bytes()
            haystacks["the audit trail at the end"] = (folder / "audit.log").read_bytes()
    made = [value for value in noted.made if len(value) in NAMES]
    needles = {**{key: list(found) for key, found in planted.needles.items()}, **needles_of(made)}
    needles["text that a caller sent"] = [
        form for service in services for text in service.planted for form in forms(text)
    ]
    check_that_all_kinds_are_among(world, permanent_codes, made)
    lines = [line for broker in brokers for line in broker.log.read_text().splitlines()]
    answers = sum(service.answers for service in services)
    return Run(needles, haystacks, lines, answers, planted.ways, crash)


async def _serve(
    world: World, url: str, brokers: list[BrokerProcess], authority: Authority, forward: Proxy
) -> AsyncIterator[Service]:
    """Let a service at each broker work, first without faults; at the first, then with all of them."""
    call_back(world, f"http://127.0.0.1:{brokers[0].http_port}/callback")
    for suite in (MARKET, TAILORED):
        world.console.tickets.push(suite)
    await world.callbacks.outbox.settled()
    root = grpc.ssl_channel_credentials(authority.pem)
    for number, process in enumerate(brokers):
        kinds = Kinds(world, url, process.address)
        async with (
            Broker(process.address, token=BEARER, tls=Tls(ca=authority.pem)) as patient,
            Broker(process.address, token=BEARER, tls=Tls(ca=authority.pem), timeout=0.8) as broker,
            grpc.aio.secure_channel(process.address, root) as channel,
        ):
            service = Service(kinds, patient, broker, channel, process.http_port)
            if number == 0:
                await installed(kinds, patient)
                await service.work()
            await service.fail()
            for fault in FAULTS if number == 0 else ():
                for endpoint in ENDPOINTS:
                    world.faults.add(endpoint, fault, times=2)
                await service.fail()
                world.faults.clear()
            forward.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            await service.install()
            await service.attempt(broker.access_token(CRM, OWNED_AND_COLD))
            forward.refusal = b""
            for suite in (MARKET, TAILORED):
                world.console.tickets.push(suite)
            await send_system_event(world, ACME, EventKind.REGISTER_CORP, child(2))
            await world.callbacks.outbox.settled()
            yield service
    world.console.reset(TAILORED, PARENT)
    await world.callbacks.outbox.settled()
    world.console.cancel(MARKET, PARENT)
    await world.callbacks.outbox.settled()


def _with_password_apart(config: Mapping[str, Any]) -> dict[str, Any]:
    store = config["store"]
    url = store["url"].replace(f":{REDIS_PASSWORD}@", "@")
    return {**config, "store": {**store, "url": url, "password": REDIS_PASSWORD}}


def crashed(broker: BrokerProcess) -> int:
    """Let the broker crash; return how it ended."""
    assert broker.process
    os.kill(broker.process.pid, signal.SIGSEGV)
    ended = os.waitid(os.P_PID, broker.process.pid, os.WEXITED | os.WNOWAIT)
    broker.process.wait()
    assert ended
    return ended.si_code


def _config(wecom_url: str, store_url: str, audit: Path, proxy: int) -> dict[str, Any]:
    config = configured(wecom_url, store_url, proxy, audit={"file": str(audit)})
    # Each process has ports of its own.
    config["server"] = {"reflection": True}
    return config


@pytest.mark.parametrize(
    "kind",
    [
        *sorted((SECRET_KEYS | NO_SECRET_TYPE) - OF_SENTINELS),
        "text that a caller sent",
        "what a callback says",
        *NAMES.values(),
    ],
)
def test_no_store_log_metric_command_line_event_or_error_holds_in_plain_text_a(
    run: Run, figures: Figures, kind: str
) -> None:
    if kind in OF_REDIS_ALONE and kind not in run.needles:
        pytest.skip("the embedded store has no password")
    found = leaks({kind: run.needles[kind]}, run.haystacks)
    if kind == "what a callback says":
        found.discard((kind, "events"))  # subscribers are told
    assert set() == found
    figures(
        looked_for=len(run.needles[kind]),
        in_places=len(run.haystacks),
        bytes=sum(map(len, run.haystacks.values())),
    )


def test_every_rpc_was_called(run: Run) -> None:
    figures = b"\n".join(run.haystacks.values()).decode(errors="replace")

    assert {rpc.name for rpc in methods()} <= set(
        re.findall(r'wecom_broker_requests_total\{code="\w+",rpc="(\w+)"', figures)
    )


def test_another_user_of_the_machine_sees_that_it_runs_and_no_more(run: Run) -> None:
    views = [hay for place, hay in run.haystacks.items() if "another user" in place]

    assert views
    assert all(b"broker.toml" in view for view in views)
    if os.geteuid() == 0:
        assert all(b"environ: Permission denied" in view for view in views)


def test_there_was_something_to_find(run: Run) -> None:
    assert [] == [place for place, hay in run.haystacks.items() if not hay and ".lock" not in place]
    assert run.answers > 50
    for name, needles in run.needles.items():
        assert len(needles) >= FORMS or name == "store.url", name
    everything = b"\n".join(run.haystacks.values())
    for name in (b"suite_token:market", b"provider_token:acme", b"authorization:tailored:", b"session:"):
        assert name in everything, "names are no secret"
    for kind in (b"suite_ticket", b"create_auth", b"register_corp", b"enter_agent"):
        assert kind in run.haystacks["events"], kind
    for outcome in (b'"40014"', b'"-1"', b'"http_502"', b'"protocol"', b'"connection"'):
        assert outcome in everything, outcome


def test_every_line_of_the_log_is_json_and_none_is_a_stack_trace(run: Run) -> None:
    assert [] == [line for line in run.logs if not line.startswith("{") or "Traceback" in line]
    assert [] == [line for line in run.logs if json.loads(line)["event"] == "unexpected error"]


def test_every_secret_of_a_configuration_was_planted_in_every_way(run: Run) -> None:
    # A new key of the type Secret has to be added to the configuration of this run.
    lacking = OF_SENTINELS | (set() if "redis commands" in run.haystacks else OF_REDIS_ALONE)
    assert SECRET_KEYS - lacking == set(run.ways)
    assert (SECRET_KEYS | NO_SECRET_TYPE) - lacking <= set(run.needles)
    assert {*Way} == set().union(*run.ways.values())


def test_the_broker_that_crashed_left_no_core(run: Run) -> None:
    # CLD_DUMPED would say that one was written or piped.
    assert os.CLD_KILLED == run.crash
