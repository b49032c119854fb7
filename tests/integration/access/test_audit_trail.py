"""Who got, was refused, reported or did what is in the trail, wherever that is, and nobody waits for it."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from wecom_broker import Broker
from wecom_broker.v1 import token_service_pb2 as pb

from broker.app.errors import CannotStart
from broker.domain.audit import AuditOutcome, AuditRecord
from broker.simulator.demo import PARENT, demo_world
from broker.simulator.server import running_simulator
from broker.telemetry.audit.line import read_line
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import configuration, connect, refused, target, until
from tests.kit.time_bounds import check_took

BEARER = "the-bearer-token-of-orders"
ORDERS = {
    "name": "orders",
    "token_sha256": hashlib.sha256(BEARER.encode()).hexdigest(),
    "allow": [
        {
            "apps": ["crm"],
            "corps": ["*"],
            "actions": ["token.get", "token.report", "jssdk.sign", "admin.refresh"],
        }
    ],
}


MINE = (("authorization", f"Bearer {BEARER}"), ("x-request-id", "checkout-4711"))


def records(path: Path) -> list[AuditRecord]:
    return [read_line(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def of(path: Path, outcome: AuditOutcome) -> list[AuditRecord]:
    return [record for record in records(path) if record.outcome is outcome]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


async def test_a_token_is_rotated_handed_out_and_reported(tmp_path: Path, path: Path) -> None:
    world = demo_world()
    async with (
        broker_here(tmp_path, world, callers=[ORDERS], audit={"file": str(path)}) as here,
        connect(here.address) as (replica,),
    ):
        asked = pb.GetAccessTokenRequest(target=target())
        for _ in range(2):
            token = (await replica.tokens.GetAccessToken(asked, metadata=MINE)).token
        world.kill(token.value)
        report = pb.ReportInvalidTokenRequest(target=target(), generation=token.generation, errcode=40014)
        replaced = (await replica.tokens.ReportInvalidToken(report, metadata=MINE)).token
    found = records(path)

    assert ["rotated", "handed_out", "rotated", "reported", "handed_out"] == [r.outcome for r in found]
    fingerprints = [
        hashlib.sha256(value.encode()).hexdigest()[:12] for value in (token.value, replaced.value)
    ]
    assert [fingerprints[0]] * 2 + [fingerprints[1], "", fingerprints[1]] == [r.fingerprint for r in found]
    assert ["", "orders", "", "orders", "orders"] == [r.caller for r in found]
    assert {"checkout-4711"} == {r.request_id for r in found if r.caller}
    assert ["broker", "127.0.0.1"] == [r.peer for r in found[:2]]
    assert {("crm", PARENT.corpid, "access_token")} == {
        (r.target.app, r.target.corp_id, r.target.kind) for r in found
    }
    assert ("ReportInvalidToken", "ROTATED", token.generation) == (
        found[3].operation,
        found[3].reason,
        found[3].generation,
    )
    assert 0o600 == path.stat().st_mode & 0o777


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path, path: Path) -> None:
    world = demo_world()
    async with (
        broker_here(tmp_path, world, ["crm", "other"], audit={"file": str(path)}) as here,
        Broker(here.address) as broker,
    ):
        await broker.access_token("crm")
        await until(lambda: len(records(path)) == 2)
        path.rename(tmp_path / "audit.log.1")
        here.broker.audit.reopen()
        await broker.access_token("other")

    assert ["crm", "crm"] == [r.target.app for r in records(tmp_path / "audit.log.1")]
    assert ["other", "other"] == [r.target.app for r in records(path)]


async def test_a_flood_of_refusals_is_a_few_lines_of_the_trail_and_of_the_log_and_each_is_counted(
    tmp_path: Path, path: Path
) -> None:
    callers = [{**ORDERS, "allow": [{"apps": ["crm"], "corps": ["ww1"], "actions": ["token.get"]}]}]
    async with running_simulator(demo_world()) as url:
        tables = configuration(
            url, f"sqlite:///{tmp_path}/broker.db", callers=callers, audit={"file": str(path)}
        )
        process = BrokerProcess(tmp_path / "broker", tables, log_level="warning")
        process.launch()
        await asyncio.to_thread(process.await_ready)
        try:
            async with connect(process.address) as (replica,):
                began, sent = time.monotonic(), 0
                # Long enough for several lines of the log, however fast the machine is.
                while sent < 300 or time.monotonic() - began < 2.5:
                    asked = pb.GetAccessTokenRequest(target=target(f"ww{sent + 2}"))
                    denied = await refused(replica.tokens.GetAccessToken(asked, metadata=MINE))
                    unknown = await refused(replica.tokens.GetAccessToken(asked))
                    assert ("CALLER_NOT_ALLOWED", "UNAUTHENTICATED") == (denied.reason, unknown.reason)
                    sent += 1
        finally:
            await asyncio.to_thread(process.stop)
    # To the end of the process: it goes on writing a record a second while it drains.
    seconds = time.monotonic() - began
    found = of(path, AuditOutcome.REFUSED)
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "refused"]

    assert {"orders": sent, "": sent} == {
        caller: sum(r.repeats for r in found if r.caller == caller) for caller in ("orders", "")
    }
    assert {"127.0.0.1"} == {r.peer for r in found}
    # What is left is written at the end, at once: 51 of a caller at most.
    assert len(found) <= seconds + 2 + 51 + 2
    assert 2 <= len(told) <= seconds + 2
    assert {("orders", "token.get", "CALLER_NOT_ALLOWED"), ("", "token.get", "UNAUTHENTICATED")} <= {
        (line["caller"], line["action"], line["reason"]) for line in told
    }


@pytest.mark.parametrize("level", ["info", "warning", "error"])
async def test_in_the_log_it_is_there_at_every_level(tmp_path: Path, level: str) -> None:
    found = await lines_of(tmp_path, {}, level)

    assert ["rotated", "handed_out"] == [line["outcome"] for line in found if line.get("event") == "audit"]


async def test_on_stdout_it_is_apart_from_the_log(tmp_path: Path) -> None:
    # The process's stdout and stderr are one file here: only log lines have an event.
    found = await lines_of(tmp_path, {"file": "stdout"}, "info")

    assert "audit" not in {line.get("event") for line in found}
    assert ["rotated", "handed_out"] == [line["outcome"] for line in found if "event" not in line]


async def lines_of(folder: Path, audit: Mapping[str, Any], level: str) -> list[dict[str, Any]]:
    """Return what a broker writes that hands out one token."""
    async with running_simulator(demo_world()) as url:
        tables = configuration(url, f"sqlite:///{folder}/broker.db", audit=audit)
        process = BrokerProcess(folder / "broker", tables, log_level=level)
        process.launch()
        await asyncio.to_thread(process.await_ready)
        try:
            async with Broker(process.address) as broker:
                await broker.access_token("crm")
        finally:
            await asyncio.to_thread(process.stop)
    return [json.loads(line) for line in process.log.read_text().splitlines()]


async def test_a_fifo_that_nobody_reads_delays_neither_calls_nor_the_end(tmp_path: Path, path: Path) -> None:
    os.mkfifo(path)
    world = demo_world()
    async with (
        broker_here(tmp_path, world, audit={"file": str(path)}) as here,
        Broker(here.address) as broker,
    ):
        await broker.access_token("crm")
        metrics = here.broker.telemetry.metrics
        began = time.monotonic()

    assert 2 == lost(here)
    assert 0 == metrics.audit_records.labels("written")._value.get()
    check_took(time.monotonic() - began, 20)


async def test_a_folder_that_goes_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "audit.log"
    world = demo_world()
    async with (
        broker_here(tmp_path, world, ["crm", "other"], audit={"file": str(path)}) as here,
        Broker(here.address) as broker,
    ):
        await broker.access_token("crm")
        await until(lambda: len(records(path)) == 2)
        path.unlink()
        folder.rmdir()
        await broker.access_token("other")
        folder.mkdir()
        await until(lambda: len(records(path)) == 2)

    assert ["other", "other"] == [r.target.app for r in records(path)]
    assert 0 == lost(here)


async def test_a_file_that_cannot_be_written_keeps_the_broker_from_starting(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"audit\.file: cannot write .*: No such file or directory"):
        async with broker_here(tmp_path, demo_world(), audit={"file": f"{tmp_path}/no/such/folder"}):
            raise AssertionError("it serves")


def lost(here: BrokerHere) -> float:
    value: float = here.broker.telemetry.metrics.audit_records.labels("lost")._value.get()
    return value
