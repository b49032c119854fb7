"""The configuration changes while a broker serves: by SIGHUP and by a file that changes."""

import asyncio
import re
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import event_service_pb2 as event_pb
from wecom_broker.v1 import event_service_pb2_grpc
from wecom_broker.v1 import token_service_pb2 as pb

from tests.integration.conftest import StartFleet
from tests.integration.lifecycle.reloading import Reloading, http_status, reloads, replica_of, status
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, SimulatorProcess, configuration, connect, refused, target, until
from tests.kit.processes.redis_server import RedisServer

pytestmark = pytest.mark.slow

CALLBACK = {"token": "reload", "aes_key": "a" * 42 + "A"}


async def test_apps_come_and_go_while_others_are_served(here: Reloading) -> None:
    with_callback = {**here.config()["apps"][0], "name": "added", "callback": CALLBACK}
    async with replica_of(here) as replica:
        kept = await replica.token()
        added = replica.of("added")
        assert "UNKNOWN_APP" == (await refused(added.token())).reason
        assert 404 == http_status(here, "/callback/added")
        await here.reload(here.config(APP, with_callback))
        assert (await added.token()).value
        assert 400 == http_status(here, "/callback/added"), "it asks for a signature"
        events = event_service_pb2_grpc.EventServiceStub(replica.channel)
        watch = added.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target(app="added")))
        subscription = events.SubscribeEvents(event_pb.SubscribeEventsRequest(apps=["added"]))
        assert (await watch.read()).token.value
        await subscription.initial_metadata()
        await here.reload(here.config(APP))
        ended = [await refused(stream.read()) for stream in (watch, subscription)]
        assert ["UNKNOWN_APP", "UNKNOWN_APP"] == [error.reason for error in ended]
        assert "UNKNOWN_APP" == (await refused(added.token())).reason
        assert 404 == http_status(here, "/callback/added")
        shown = await replica.admin.ListCredentials(admin_pb.ListCredentialsRequest())
        assert {APP} == {found.app for found in shown.credentials}, "its memory is free"
        assert kept == await replica.token(), "the other app's token is the same"


async def test_a_corrected_secret_is_tried_at_once_and_a_valid_token_is_kept(here: Reloading) -> None:
    app = here.config()["apps"][0]
    async with replica_of(here) as replica:
        valid = await replica.token()
        wrong = {**app, "name": "other", "secret": "a-wrong-secret-of-the-right-form-0123456789"}
        await here.reload(here.config({**app, "secret": wrong["secret"]}, wrong))
        assert valid == await replica.token(), "what was fetched with the old secret is still valid"
        other = replica.of("other")
        assert "SECRET_REJECTED" == (await refused(other.token())).reason
        await here.reload(here.config({**app, "secret": wrong["secret"]}, {**app, "name": "other"}))
        assert (await other.token()).value
        assert "SECRET_REJECTED" == (await refused(replica.refresh())).reason, "the new secret is used"


async def test_a_bad_configuration_changes_nothing_and_says_so(here: Reloading) -> None:
    whole = here.broker.text_of(here.config("added"))
    async with replica_of(here) as replica:
        loaded = (await status(replica)).load_time
        here.broker.config_file.write_text(whole[: whole.index("corp_id") + 9])
        await until(lambda: here.count("refused") == 1)
        found = await status(replica)
        assert admin_pb.RELOAD_OUTCOME_REFUSED == found.outcome
        assert loaded == found.load_time
        assert "is not TOML" in found.problems[0]
        await here.reload({**here.config("added"), "refresh": {"advisory": 7}, "typo": {}}, outcome="refused")
        found = await status(replica)
        assert {"refresh.advisory", "typo"} == {problem.partition(":")[0] for problem in found.problems}
        log = here.broker.log.read_text()
        assert all(problem in log.replace('\\"', '"') for problem in found.problems)
        assert (await replica.token()).value
        assert "UNKNOWN_APP" == (await refused(replica.of("added").token())).reason
        await here.reload(here.config())
        found = await status(replica)
        assert (admin_pb.RELOAD_OUTCOME_APPLIED, []) == (found.outcome, list(found.problems))


async def test_what_needs_a_restart_is_named_and_the_rest_is_applied(here: Reloading) -> None:
    async with replica_of(here) as replica:
        await here.reload(here.config(APP, "added", events={"max_tries": 3}, log={"level": "debug"}))
        assert ["events.max_tries"] == list((await status(replica)).restart_needed)
        assert "events.max_tries" in here.broker.log.read_text()
        assert (await replica.of("added").token()).value
        assert '"level": "debug"' in here.broker.log.read_text(), "the log level follows"
        await here.reload(here.config())
        assert [] == list((await status(replica)).restart_needed)


async def test_a_file_that_changes_is_enough_however_it_is_replaced(here: Reloading, tmp_path: Path) -> None:
    """By its content, by a rename, by a link to another folder, and a secret's file alone."""
    secret = tmp_path / "secret"
    app = here.config()["apps"][0]
    secret.write_text("a-wrong-secret-of-the-right-form-0123456789")
    by_file = {**app, "name": "by_file", "secret": {"file": str(secret)}}
    async with replica_of(here) as replica:
        here.broker.configure(here.config(APP, by_file))
        await until(lambda: here.count("applied") == 1)
        found = replica.of("by_file")
        assert "SECRET_REJECTED" == (await refused(found.token())).reason
        secret.write_text(str(app["secret"]))
        await until(lambda: here.count("applied") == 2)
        assert (await found.token()).value
        for number in (1, 2):
            folder = tmp_path / f"..{number}"
            folder.mkdir()
            (folder / "broker.toml").write_text(here.broker.text_of(here.config(APP, f"added{number}")))
            (tmp_path / "..new").symlink_to(folder.name)
            (tmp_path / "..new").rename(tmp_path / "..data")
            if number == 1:
                (tmp_path / "link").symlink_to("..data/broker.toml")
                (tmp_path / "link").rename(here.broker.config_file)
            await until(lambda number=number: here.count("applied") == 2 + number)  # type: ignore[misc]
            assert (await replica.of(f"added{number}").token()).value


async def test_a_file_that_is_gone_for_a_moment_is_no_mistake(here: Reloading) -> None:
    text = here.broker.config_file.read_text()
    here.broker.config_file.unlink()
    await asyncio.sleep(0.7)
    here.broker.config_file.write_text(text)
    await asyncio.sleep(2)
    assert 0 == here.count("refused")


async def test_a_file_that_changes_while_the_broker_starts_is_taken_without_a_signal(
    tmp_path: Path, wecom: SimulatorProcess
) -> None:
    redis = RedisServer(tmp_path / "redis")
    asked = asyncio.Event()

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    door = await asyncio.start_server(refuse, "127.0.0.1", redis.port)
    before, after = (configuration(wecom.url, redis.url, (app,)) for app in (APP, "added"))
    broker = BrokerProcess(tmp_path / "broker", before, forked=True)
    with ExitStack() as stack:
        stack.push(broker.__exit__)
        broker.launch()
        # It has read the file by the time when it looks for its store.
        await asked.wait()
        broker.configure(after)
        door.close()
        stack.enter_context(redis)
        await asyncio.to_thread(broker.await_ready)
        async with connect(broker.address) as (replica,):
            await until(lambda: reloads(broker, "applied") == 1)
            assert (await replica.of("added").token()).value


async def test_a_storm_of_signals_and_signals_at_start_and_end_end_nothing(here: Reloading) -> None:
    async with replica_of(here) as replica:
        await replica.token()
        calls = [asyncio.create_task(replica.token()) for _ in range(50)]
        for _ in range(100):
            here.broker.send(signal.SIGHUP)
        assert all(found.value for found in await asyncio.gather(*calls))
        await until(lambda: here.count("applied") >= 1)
    process = here.broker.process
    assert process
    here.broker.send(signal.SIGTERM)
    for _ in range(20):
        if process.poll() is None:
            here.broker.send(signal.SIGHUP)
        await asyncio.sleep(0.02)
    await until(lambda: process.poll() is not None)
    assert 0 == process.returncode


async def test_each_worker_takes_a_reload(start_fleet: StartFleet) -> None:
    fleet = start_fleet(1, children=3, server={"workers": 2})
    broker = fleet.brokers[0]
    text = broker.config_file.read_text()
    app = re.search(r"\[\[apps\]\]\n([^\[].*\n)+", text)
    assert app
    broker.config_file.write_text(text + app[0].replace(f'name = "{APP}"', 'name = "added"'))
    workers = broker.children()
    broker.send(signal.SIGHUP)

    async def all_know() -> bool:
        async with connect(*[broker.address] * 24, app="added") as replicas:
            found = await asyncio.gather(*(replica.token() for replica in replicas), return_exceptions=True)
            return not any(isinstance(answer, BaseException) for answer in found)

    await until(all_know, pause=0.2)
    assert workers == broker.children(), "no worker was ended by the signal"
