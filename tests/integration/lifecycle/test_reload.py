"""The configuration changes while a broker serves: by SIGHUP and by a file that changes."""

import asyncio
import hashlib
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import event_service_pb2 as event_pb
from wecom_broker.v1 import event_service_pb2_grpc
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import (
    APP,
    Replica,
    SimulatorProcess,
    configuration,
    connect,
    refused,
    target,
    until,
)

pytestmark = pytest.mark.slow

CALLBACK = {"token": "reload", "aes_key": "a" * 42 + "A"}
WITHIN_SECONDS = 1.0
CALLERS = 1_000


@pytest.fixture(scope="module")
def wecom() -> Iterator[SimulatorProcess]:
    """WeCom, which every broker here calls."""
    with SimulatorProcess(children=3) as simulator:
        yield simulator


class Reloading:
    """A broker and what it is configured with."""

    def __init__(self, folder: Path, wecom: SimulatorProcess) -> None:
        self._wecom = wecom
        self._folder = folder
        self.broker = BrokerProcess(folder, self.config(), log_level="info")

    def config(self, *apps: Any, **tables: Any) -> dict[str, Any]:
        """Return a configuration of apps; without any, of the simulator's."""
        store = f"sqlite:///{self._folder}/broker.db"
        return configuration(self._wecom.url, store, apps or (APP,), **tables)

    def count(self, outcome: str) -> int:
        """Return how many reloads ended so."""
        name = f'wecom_broker_config_reloads_total{{outcome="{outcome}"}}'
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.broker.metrics(), re.MULTILINE)
        return int(float(found[1])) if found else 0

    async def reload(self, config: Mapping[str, Any], *, outcome: str = "applied") -> None:
        """Change the file, send SIGHUP, and return once that is done."""
        before = self.count(outcome)
        self.broker.configure(config)
        self.broker.send(signal.SIGHUP)
        await until(lambda: self.count(outcome) > before)


@pytest.fixture
def here(tmp_path: Path, wecom: SimulatorProcess) -> Iterator[Reloading]:
    """A broker that serves."""
    found = Reloading(tmp_path, wecom)
    with found.broker:
        yield found


@asynccontextmanager
async def replica_of(here: Reloading) -> AsyncIterator[Replica]:
    async with connect(here.broker.address) as (replica,):
        yield replica


async def status(replica: Replica) -> admin_pb.ConfigStatus:
    return (await replica.admin.GetStatus(admin_pb.GetStatusRequest())).config


def http_status(here: Reloading, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{here.broker.http_port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


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


def caller(number: int, *, allowed: bool = True) -> dict[str, Any]:
    rule = {"apps": [APP], "actions": ["token.get" if allowed else "jssdk.sign"]}
    return {"name": f"c{number}", "token_sha256": _digest(f"token-{number}"), "allow": [rule]}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def test_a_reload_of_a_thousand_callers_under_load_fails_no_call(
    here: Reloading, figures: Figures
) -> None:
    kept, denied = 0, 1
    await here.reload(here.config(callers=[caller(number) for number in range(CALLERS)]))
    failed: list[grpc.aio.AioRpcError] = []
    made = 0
    over = asyncio.Event()
    async with grpc.aio.insecure_channel(here.broker.address) as channel:
        tokens = TokenServiceStub(channel)

        def bearer(number: int) -> tuple[tuple[str, str], ...]:
            return (("authorization", f"Bearer token-{number}"),)

        async def load(number: int) -> None:
            nonlocal made
            request = pb.GetAccessTokenRequest(target=target())
            while not over.is_set():
                try:
                    await tokens.GetAccessToken(request, metadata=bearer(number), timeout=20)
                except grpc.aio.AioRpcError as error:
                    failed.append(error)
                made += 1
                await asyncio.sleep(0.005)

        watched = pb.WatchAccessTokenRequest(target=target())
        stays, cut = (tokens.WatchAccessToken(watched, metadata=bearer(who)) for who in (kept, denied))
        assert (await stays.read()).token.value
        assert (await cut.read()).token.value
        callers = [asyncio.create_task(load(number)) for number in range(10, 18)]
        await until(lambda: made > 100)
        here.broker.configure(
            here.config(
                callers=[caller(number, allowed=number != denied) for number in range(CALLERS)]
                + [caller(CALLERS)]
            )
        )
        here.broker.send(signal.SIGHUP)
        began = time.monotonic()
        ended = await refused(cut.read())
        cut_after = time.monotonic() - began
        request = pb.GetAccessTokenRequest(target=target())
        assert (await tokens.GetAccessToken(request, metadata=bearer(CALLERS))).token.value
        in_force_after = time.monotonic() - began
        # The file that changed causes a reload of its own after the one by signal: both are under load.
        await until(lambda: here.count("applied") >= 3 and made > 1_000)
        over.set()
        await asyncio.gather(*callers)
        assert "CALLER_NOT_ALLOWED" == ended.reason
        assert [] == failed
        assert not stays.done(), "a stream that may go on goes on"
        figures(calls=made, failed=0, cut_after=cut_after, in_force_after=in_force_after)
        assert max(cut_after, in_force_after) < WITHIN_SECONDS
