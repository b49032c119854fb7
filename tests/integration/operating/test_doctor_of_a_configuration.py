"""The doctor looks at a configuration without a broker: causes by name, and no wrong secret tried twice."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis import Redis

from broker.app.checkup.examination import Wishes
from broker.app.running_broker import running_broker
from broker.cli.doctor.configured import examine_configuration
from broker.config.load import parse_config
from broker.server.diagnosis.finding import Finding, Level
from broker.simulator import demo_world, running_simulator
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, SECRET
from broker.simulator.provider_demo import add_provider, call_back
from broker.simulator.world import World
from broker.simulator.world.faults import Errcode
from tests.integration.suites.three_kinds import tables
from tests.kit.processes.broker_process import to_toml
from tests.kit.processes.certificates import Authority
from tests.kit.processes.fleet import APP, GETTOKEN, configuration, connect, refused
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import RedisServer

SECRET_OF = f"secret {APP}"
WRONG = {"secret": "a-secret-that-is-wrong"}


@dataclass
class Bench:
    """A simulated WeCom, and the configuration of a broker that may run beside the doctor."""

    world: World
    wecom: str
    folder: Path

    def configuration(self, url: str = "", **tables: Any) -> dict[str, Any]:
        server = {"grpc": ["127.0.0.1:0"], "http": f"127.0.0.1:{free_port()}", "drain_seconds": 0}
        tables = {"server": server, **tables}
        return configuration(self.wecom, url or f"sqlite:///{self.folder}/broker.db", **tables)

    async def examine(self, config: dict[str, Any], *again: str, callbacks: str = "") -> dict[str, Finding]:
        path = self.folder / "broker.toml"
        path.write_text(to_toml(config))
        found = await examine_configuration(path, Wishes(again, callbacks))
        shown = {finding.subject: finding for finding in found}
        assert len(found) == len(shown)
        assert SECRET not in str(found)
        return shown


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    world = demo_world()
    async with running_simulator(world) as url:
        yield Bench(world, url, tmp_path)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path) -> str:
    return {"redis": redis.url, "sqlite": f"sqlite:///{tmp_path}/broker.db"}[request.param]


def _client(redis: RedisServer) -> Redis:
    return Redis(port=redis.port)


@pytest.fixture(autouse=True)
def _empty(redis: RedisServer) -> None:
    _client(redis).flushall()


async def test_a_configuration_that_is_well_has_no_findings_but_that(bench: Bench, url: str) -> None:
    found = await bench.examine(bench.configuration(url))

    assert {Level.OK} == {finding.level for finding in found.values()}
    assert {"dns", "wecom", "clock", SECRET_OF, "config"} <= set(found)
    assert "accepted, just now; agent_id and this machine's address, too" in found[SECRET_OF].problem


async def test_it_makes_neither_a_database_nor_a_key(bench: Bench) -> None:
    await bench.examine(bench.configuration(store={"seal_keys": []}))

    assert ["broker.db.doctor", "broker.toml"] == sorted(path.name for path in bench.folder.iterdir())


async def test_a_wrong_secret_is_tried_once_however_often_it_runs(bench: Bench, url: str) -> None:
    config = bench.configuration(url, app=WRONG)
    found = [(await bench.examine(config))[SECRET_OF] for _ in range(3)]

    assert {Level.FAIL} == {finding.level for finding in found}
    assert all("SECRET_REJECTED 40001" in finding.problem for finding in found)
    assert "correct the secret of crm" in found[0].remedy
    assert 1 == bench.world.log.calls(GETTOKEN)


async def test_a_corrected_secret_is_tried_at_once(bench: Bench, url: str) -> None:
    await bench.examine(bench.configuration(url, app=WRONG))

    assert Level.OK is (await bench.examine(bench.configuration(url)))[SECRET_OF].level


async def test_an_accepted_secret_is_not_fetched_again_and_again(bench: Bench, url: str) -> None:
    config = bench.configuration(url)
    await bench.examine(config)
    again = (await bench.examine(config))[SECRET_OF]

    assert "tried less than a minute ago (wecom-broker doctor --config FILE --again crm" in again.problem
    assert 1 == bench.world.log.calls(GETTOKEN)
    await bench.examine(config, APP)
    assert 2 == bench.world.log.calls(GETTOKEN)


async def test_a_remembered_trial_proves_neither_another_agent_nor_this_machines_address(
    bench: Bench, url: str
) -> None:
    await bench.examine(bench.configuration(url))
    found = (await bench.examine(bench.configuration(url, app={"agent_id": 1000077})))[SECRET_OF]

    assert "agent_id and this machine's address, too" not in found.problem
    assert found.problem.endswith("; not tried now: agent_id and this machine's address")


async def test_what_the_running_fleet_knows_to_be_wrong_is_not_tried(
    bench: Bench, redis: RedisServer
) -> None:
    config = bench.configuration(redis.url, app=WRONG)
    async with running_broker(parse_config(config)) as broker, connect(*broker.grpc_addresses) as (replica,):
        assert "SECRET_REJECTED" == (await refused(replica.token())).reason
        found = (await bench.examine(config))[SECRET_OF]

    assert "the brokers remember it, so it was not tried" in found.problem
    assert "40001" in found.problem
    assert 1 == bench.world.log.calls(GETTOKEN)


async def test_what_the_doctor_found_wrong_the_fleet_does_not_try(bench: Bench, redis: RedisServer) -> None:
    config = bench.configuration(redis.url, app=WRONG)
    await bench.examine(config)
    async with running_broker(parse_config(config)) as broker, connect(*broker.grpc_addresses) as (replica,):
        assert "SECRET_REJECTED" == (await refused(replica.token())).reason

    assert 1 == bench.world.log.calls(GETTOKEN)


async def test_another_secret_in_the_file_does_not_make_the_fleet_forget_its_own(
    bench: Bench, redis: RedisServer
) -> None:
    config = bench.configuration(redis.url, app=WRONG)
    async with running_broker(parse_config(config)) as broker, connect(*broker.grpc_addresses) as (replica,):
        await refused(replica.token())
        await bench.examine(bench.configuration(redis.url, app={"secret": "another-wrong-one"}))
        await refused(replica.token())

    assert bench.world.log.calls(GETTOKEN) <= 2, "one for each secret, where the doctor could remember"


async def test_where_nobody_can_tell_what_was_tried_nothing_is(bench: Bench) -> None:
    found = await bench.examine(bench.configuration(f"redis://127.0.0.1:{free_port()}/0"))

    [store] = [finding for name, finding in found.items() if name.startswith("store")]
    assert Level.FAIL is store.level
    assert "Connect" in store.problem
    assert "do NOT restart" in store.remedy
    assert "not tried" in found[SECRET_OF].problem
    assert not bench.world.log.calls(GETTOKEN)


async def test_a_database_in_use_is_left_alone(bench: Bench) -> None:
    config = bench.configuration()
    async with running_broker(parse_config(config)):
        found = await bench.examine(config)

    [store] = [finding for name, finding in found.items() if name.startswith("store")]
    assert Level.OK is store.level
    assert "wecom-broker doctor --address" in store.remedy
    assert "not tried" in found[SECRET_OF].problem


async def test_an_untrusted_address_and_a_foreign_agent_are_named(bench: Bench) -> None:
    refusal = Errcode(60020, "not allow to access from your ip, from ip: 203.0.113.9")
    bench.world.faults.add("agent/get", refusal)
    found = (await bench.examine(bench.configuration()))[SECRET_OF]

    assert "IP_NOT_TRUSTED 60020" in found.problem
    assert "WeCom sees 203.0.113.9" in found.problem
    assert "企业可信IP" in found.remedy
    bench.world.faults.clear()
    assert (
        "API_NOT_AUTHORIZED 301002"
        in (await bench.examine(bench.configuration(app={"agent_id": 1000077}), APP))[SECRET_OF].problem
    )


async def test_without_a_name_server_nothing_is_tried(bench: Bench) -> None:
    found = await bench.examine(bench.configuration(wecom={"api_base": "https://qyapi.invalid"}))

    assert Level.FAIL is found["dns"].level
    assert "qyapi.invalid cannot be resolved" in found["dns"].problem
    assert "qyapi.invalid" in found["wecom"].problem
    assert "not tried" in found[SECRET_OF].problem


async def test_a_key_that_is_not_the_fleets_is_named(bench: Bench, redis: RedisServer) -> None:
    async with running_broker(parse_config(bench.configuration(redis.url))):
        pass
    other = {"id": "k1", "key": "b3RoZXIga2V5IG9mIGV4YWN0bHkgMzIgYnl0ZXMhISE="}
    found = await bench.examine(bench.configuration(redis.url, store={"seal_keys": [other]}))

    assert Level.FAIL is found["seal keys"].level
    assert "k1" in found["seal keys"].problem
    assert "store.seal_keys" in found["seal keys"].remedy


async def test_a_folder_that_is_missing_is_named_whole(bench: Bench) -> None:
    found = await bench.examine(bench.configuration("sqlite:///nowhere/broker.db"))

    store = found["store sqlite:///nowhere/broker.db"]
    assert Level.FAIL is store.level
    assert f"make {Path.cwd() / 'nowhere'}, writable" in store.remedy


async def test_a_store_that_takes_no_writes_is_named(bench: Bench, redis: RedisServer) -> None:
    _client(redis).replicaof("127.0.0.1", free_port())
    try:
        found = await bench.examine(bench.configuration(redis.url))
    finally:
        _client(redis).replicaof("NO", "ONE")

    [store] = [finding for name, finding in found.items() if name.startswith("store")]
    assert Level.FAIL is store.level
    assert "ReadOnly" in store.problem or "READONLY" in store.problem
    assert "lead to the primary" in store.remedy


async def test_mistakes_are_told_by_key(bench: Bench) -> None:
    found = await bench.examine(bench.configuration(app={"corp_id": "?"}))

    [(key, finding)] = found.items()
    assert "apps[0].corp_id" == key
    assert Level.FAIL is finding.level


async def test_a_callback_that_does_not_fit_is_told(bench: Bench, redis: RedisServer) -> None:
    keys = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
    config = bench.configuration(redis.url, app={"callback": keys})
    async with AsyncExitStack() as stack:
        assert "no broker listens" in (await bench.examine(config))["callback crm"].problem
        await stack.enter_async_context(running_broker(parse_config(config)))
        assert "opens what WeCom seals" in (await bench.examine(config))["callback crm"].problem
        other = {**config["apps"][0], "callback": {**keys, "token": "AnotherToken"}}
        found = (await bench.examine({**config, "apps": [other]}))["callback crm"]

    assert Level.FAIL is found.level
    assert "another Token" in found.problem
    assert "接收消息" in found.remedy


async def test_an_address_where_something_else_answers_is_told(bench: Bench) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=520)

    application = web.Application()
    application.router.add_get("/callback/crm", answer)
    keys = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
    config = bench.configuration(app={"callback": keys})
    async with TestServer(application) as proxy:
        found = (await bench.examine(config, callbacks=str(proxy.make_url("/"))))["callback crm"]

    assert Level.FAIL is found.level
    assert "answers HTTP 520: that is no broker" in found.problem


@pytest.mark.parametrize(
    ("broken", "problem"),
    [("certificate", "has no certificate in PEM"), ("private_key", "has no private key in PEM")],
)
async def test_a_file_of_tls_that_no_broker_takes_is_named(bench: Bench, broken: str, problem: str) -> None:
    files = Authority().sign(address="127.0.0.1").write(bench.folder, "server")
    Path(files[broken]).write_text("no PEM")
    Path(files["private_key"]).chmod(0o600)
    server = {"grpc": ["127.0.0.1:0"], "http": f"127.0.0.1:{free_port()}", "tls": files}
    found = (await bench.examine(bench.configuration(server=server)))[f"server.tls.{broken}"]

    assert (Level.FAIL, problem) == (found.level, found.problem)


async def test_suites_are_looked_at_in_the_store(bench: Bench, redis: RedisServer) -> None:
    add_provider(bench.world)
    config = tables(bench.wecom, redis.url)
    found = await bench.examine(config)
    assert "no suite_ticket of market has ever arrived" in found["market"].problem
    assert "SUITE_TICKET_MISSING" in found["secret market"].problem
    assert "accepted" in found["secret acme"].problem

    async with running_broker(parse_config(config)) as broker:
        call_back(bench.world, f"http://127.0.0.1:{broker.http_port}/callback")
        bench.world.console.tickets.push("market")
        await bench.world.callbacks.outbox.settled()
    found = await bench.examine(config, "market")
    assert "suite_ticket came" in found["market"].problem
    assert "accepted" in found["secret market"].problem
