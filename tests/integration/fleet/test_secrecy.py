"""Issue 2, point 7: at debug level no secret or token is in plain text but on the wire and in memory."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import token_service_pb2 as pb

from broker.simulator import (
    Errcode,
    Habit,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Settings,
    Truncated,
    running_simulator,
)
from broker.simulator.demo import PARENT, SECRET, add_children, demo_world
from broker.simulator.world.faults import Fault
from tests.integration.conftest import Figures
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import (
    APP,
    SEAL_KEY,
    Replica,
    child,
    configuration,
    connect,
    refusal,
    target,
    until,
)
from tests.kit.processes.left_behind import Monitor, left_behind
from tests.kit.processes.redis_server import RedisServer
from tests.kit.secrecy import leaks

BEARER, STRANGE_BEARER = "the-bearer-token-of-orders", "a-bearer-token-that-nobody-has"
WRONG_SECRET = "a-wrong-secret-of-the-app"
FAULTS: list[Fault] = [
    Errcode(40014),
    Errcode(-1),
    HttpStatus(502),
    Truncated(),
    Reset(),
    *map(Junk, JunkKind),
    Errcode(60020),
]
MINE = (("authorization", f"Bearer {BEARER}"),)

pytestmark = pytest.mark.slow


@dataclass
class Run:
    """What a run left behind, by the place where it was found."""

    needles: Mapping[str, list[bytes]]
    haystacks: Mapping[str, bytes]
    logs: list[str]


def configured(store_url: str, wecom_url: str, key: bool = True) -> dict[str, object]:
    config = configuration(wecom_url, store_url)
    if not key:
        del config["store"]["seal_keys"]
    wrong = {"name": "wrong", "corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": WRONG_SECRET}
    everything = ["token.get", "token.report", "share.read", "share.sync", "admin.read", "admin.refresh"]
    caller = {
        "name": "orders",
        "token_sha256": hashlib.sha256(BEARER.encode()).hexdigest(),
        "allow": [{"apps": ["*"], "corps": ["*"], "actions": everything}],
    }
    config["apps"].append(wrong)
    config["wecom"]["timeout_seconds"] = 1
    return {**config, "callers": [caller]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Let two replicas on Redis and one on SQLite do all they can, with all that can go wrong at WeCom."""
    folder = tmp_path_factory.mktemp("secrecy")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis", append_only=True))
        monitor = Monitor(redis.port)
        monitor.start()
        yield asyncio.run(_run(folder, redis, monitor))


async def _run(folder: Path, redis: RedisServer, monitor: Monitor) -> Run:
    world = demo_world(settings=Settings(habit=Habit.NEW_VALUE_OLD_ALIVE))
    add_children(world, len(FAULTS) + 6)
    async with running_simulator(world) as url:
        database = folder / "store" / "broker.db"
        database.parent.mkdir()
        with ExitStack() as stack:
            brokers = [
                BrokerProcess(folder / "broker-0", configured(redis.url, url)),
                BrokerProcess(folder / "broker-1", configured(redis.url, url)),
                BrokerProcess(folder / "broker-2", configured(f"sqlite:///{database}", url, key=False)),
            ]
            for broker in brokers:
                stack.push(broker.__exit__)
                broker.launch()
            await asyncio.gather(*(asyncio.to_thread(broker.await_ready) for broker in brokers))
            said: list[str] = []
            async with connect(*(broker.address for broker in brokers)) as replicas:
                # All at once: the faults are for all of them.
                await asyncio.gather(*(_ask_well(replica) for replica in replicas))
                await asyncio.gather(*(_ask_badly(replica, said) for replica in replicas))
                for number, fault in enumerate(FAULTS, start=6):
                    world.faults.add("corp/gettoken", fault)
                    said += [await _ask(replica, child(number)) for replica in replicas]
                    world.faults.clear()
                    if fault != FAULTS[-1]:
                        await asyncio.gather(*(_works_again(replica, child(number)) for replica in replicas))
            haystacks = left_behind(folder, brokers, redis, monitor)
            haystacks["errors told to callers"] = "\n".join(said).encode()
            for broker in brokers:
                await asyncio.to_thread(broker.stop)
                haystacks[f"{broker.log} at the end"] = broker.log.read_bytes()
            for path in database.parent.iterdir():
                if path.suffix == ".key":
                    assert 0o600 == path.stat().st_mode & 0o777
                else:
                    haystacks[f"{path.name} at the end"] = path.read_bytes()
    own_key = (database.parent / "broker.db.key").read_bytes()
    tokens = list(world.tokens._by_value)
    keys = [SEAL_KEY.encode(), own_key]
    needles = {
        "app secret": [SECRET.encode(), WRONG_SECRET.encode()],
        "token": [value.encode() for value in tokens],
        "seal key": [*keys, *(base64.b64decode(key) for key in keys)],
        "bearer token": [BEARER.encode(), STRANGE_BEARER.encode()],
    }
    lines = [line for broker in brokers for line in broker.log.read_text().splitlines()]
    return Run(needles, haystacks, lines)


async def _ask(
    replica: Replica, corp_id: str, app: str = APP, metadata: tuple[tuple[str, str], ...] = MINE
) -> str:
    """Ask for a token; return all that the caller is told if it is refused."""
    request = pb.GetAccessTokenRequest(target=target(corp_id, app))
    try:
        await replica.tokens.GetAccessToken(request, metadata=metadata, timeout=20)
    except grpc.aio.AioRpcError as error:
        told = refusal(error)
        return f"{told.reason} {told.message} {dict(told.metadata)} {error.debug_error_string()}"
    return ""


async def _works_again(replica: Replica, corp_id: str) -> None:
    async def works() -> bool:
        return not await _ask(replica, corp_id)

    await until(works, pause=0.1)


async def _ask_well(replica: Replica) -> None:
    for number in range(6):
        request = pb.GetAccessTokenRequest(target=target(child(number) if number else ""))
        token = (await replica.tokens.GetAccessToken(request, metadata=MINE, timeout=20)).token
    report = pb.ReportInvalidTokenRequest(
        target=target(token.corp_id), generation=token.generation, errcode=40014
    )
    await replica.tokens.ReportInvalidToken(report, metadata=MINE, timeout=20)
    await replica.shares.SyncAppShares(share_pb.SyncAppSharesRequest(app=APP), metadata=MINE, timeout=20)
    watch = replica.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target()), metadata=MINE)
    await watch.read()
    watch.cancel()


async def _ask_badly(replica: Replica, said: list[str]) -> None:
    said.append(await _ask(replica, "ww-unknown-child"))
    said.append(await _ask(replica, "", app="wrong"))
    said.append(await _ask(replica, "", app="nobody"))
    said.append(await _ask(replica, "", metadata=()))
    said.append(await _ask(replica, "", metadata=(("authorization", f"Bearer {STRANGE_BEARER}"),)))
    assert all(said)


@pytest.mark.parametrize("kind", ["app secret", "token", "seal key", "bearer token"])
def test_no_store_log_metric_or_command_line_holds_in_plain_text_a(
    run: Run, figures: Figures, kind: str
) -> None:
    assert set() == leaks({kind: run.needles[kind]}, run.haystacks)
    figures(
        looked_for=len(run.needles[kind]),
        in_places=len(run.haystacks),
        bytes=sum(map(len, run.haystacks.values())),
    )


def test_the_places_that_were_searched_are_not_empty(run: Run) -> None:
    assert [] == [place for place, hay in run.haystacks.items() if not hay and ".lock" not in place]
    assert len(run.needles["token"]) > 20
    assert b"EVALSHA" in run.haystacks["redis commands"]
    assert b"access_token:crm:corp_group" in run.haystacks["redis keys and values"], "names are no secret"
    for outcome in (b'"40014"', b'"-1"', b'"http_502"', b'"protocol"', b'"connection"', b'"60020"'):
        assert any(outcome in hay for hay in run.haystacks.values()), f"nothing ended as {outcome!r}"


def test_every_credential_handed_out_is_audited_without_its_value(run: Run) -> None:
    events = [json.loads(line) for line in run.logs if line.startswith("{")]
    audits = [event for event in events if event["event"] == "audit" and event["outcome"] == "handed_out"]

    assert {"orders"} == {audit["caller"] for audit in audits}
    assert {"token.get", "token.report"} == {audit["action"] for audit in audits}
    assert len({json.dumps(audit["target"]) for audit in audits}) > 6
    values = [needle.decode() for needle in run.needles["token"]]
    fingerprints = {hashlib.sha256(value.encode()).hexdigest()[:12] for value in values}
    assert {audit["fingerprint"] for audit in audits} <= fingerprints
    assert all(audit["generation"] > 0 for audit in audits)


def test_every_line_of_the_log_is_json_and_none_is_a_stack_trace(run: Run) -> None:
    assert [] == [line for line in run.logs if not line.startswith("{")]
    assert [] == [line for line in run.logs if "Traceback" in line]
