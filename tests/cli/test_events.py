"""`wecom-broker events`, run against a fake broker, and at the end against a real one."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import pytest
from wecom_broker.v1 import target_pb2

from broker.simulator.callbacks.sender import send_event
from broker.simulator.world.events.kinds import EventKind
from tests.cli.running import interrupted, process, run
from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_events import event_message

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator

    from click.testing import Result

    from broker.cli.demo.playground import Playground

FIRST = "crm:0000000000001-000000"
LOCAL = datetime(2026, 11, 22, 10, tzinfo=UTC).astimezone().isoformat(sep=" ", timespec="seconds")


class Tail:
    """`events tail` in a process of its own."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    async def line(self) -> str:
        return await asyncio.to_thread(self._running.stdout.readline)

    async def interrupted(self) -> tuple[int, str, str]:
        return await asyncio.to_thread(interrupted, self._running)


@pytest.fixture
async def fake() -> AsyncIterator[FakeBroker]:
    """A running fake broker."""
    async with FakeBroker() as fake:
        yield fake


@asynccontextmanager
async def tail(fake: FakeBroker, *arguments: str) -> AsyncIterator[Tail]:
    """Run it until it looks on."""
    with process("events", "tail", "--address", fake.address, *arguments) as running:
        async with asyncio.timeout(60):
            while not fake.open_subscriptions:
                await asyncio.sleep(0.01)
        yield Tail(running)


async def ran(fake: FakeBroker, *arguments: str) -> Result:
    return await asyncio.to_thread(run, "events", *arguments, "--address", fake.address)


async def test_each_event_is_a_line_without_what_people_wrote_until_ctrl_c(fake: FakeBroker):
    async with tail(fake) as tailing:
        fake.come(1)
        first = await tailing.line()
        fake.events.append(event_message(2, change_type="c", user_id="", corp_unknown=True))
        fake.come()
        second = await tailing.line()
        ended = await tailing.interrupted()

    assert f"{LOCAL}  crm  ww1  text  zhang  {FIRST}\n" == first
    assert f"{LOCAL}  crm  ww1?  text/c  -  crm:0000000000002-000000\n" == second
    assert (130, "", "") == ended
    assert 0 == fake.calls["AcknowledgeEvents"]


async def test_programs_get_a_line_of_json_an_event(fake: FakeBroker):
    async with tail(fake, "--json") as tailing:
        fake.come(1)
        told = json.loads(await tailing.line())
        assert (130, "", "") == await tailing.interrupted()

    assert {
        "event_id": FIRST,
        "app": "crm",
        "corp_id": "ww1",
        "corp_unknown": False,
        "share_kind": "corp_group",
        "agent_id": 7,
        "user_id": "zhang",
        "event_type": "text",
        "change_type": "",
        "create_time": "2026-11-22T10:00:00+00:00",
        "receive_time": "2026-11-22T10:00:01+00:00",
        "delivery_count": 1,
    } == told


async def test_what_people_wrote_is_shown_on_demand(fake: FakeBroker):
    async with tail(fake, "--json", "--fields") as tailing:
        fake.come(1)
        told = json.loads(await tailing.line())
        await tailing.interrupted()

    assert ({"Content": "private"}, "<xml>private</xml>") == (told["fields"], told["xml"])


async def test_a_terminal_is_told_nothing_that_it_would_obey(fake: FakeBroker):
    async with tail(fake, "--fields") as tailing:
        fake.events.append(event_message(1, user_id="\x1b[2J", fields={"Content": "你好\n\x9b1m"}))
        fake.come()
        lines = [await tailing.line(), await tailing.line()]
        await tailing.interrupted()

    assert f"{LOCAL}  crm  ww1  text  \\x1b[2J  {FIRST}\n" == lines[0]
    assert ["Content", "你好\\n\\x9b1m"] == lines[1].split()


async def test_a_member_of_a_group_acknowledges_what_it_printed(fake: FakeBroker):
    fake.come(1, 2)
    async with tail(fake, "--group", "audit") as tailing:
        await tailing.line()
        await tailing.line()
        ended = await tailing.interrupted()

    assert (130, "", "") == ended
    assert [1, 2] == fake.acknowledged("audit")


async def test_what_is_wanted_is_asked_for(fake: FakeBroker):
    arguments = ["--app", "crm", "--app", "market", "--type", "text", "--since"]
    async with tail(fake, *arguments, "2026-11-22T10:00:00Z") as tailing:
        await tailing.interrupted()
    async with tail(fake, "--since", FIRST) as tailing:
        await tailing.interrupted()
    by_time, by_id = fake.requests

    assert ("", ["crm", "market"], ["text"]) == (by_time.group, by_time.apps, by_time.event_types)
    assert datetime(2026, 11, 22, 10, tzinfo=UTC) == by_time.replay_from_time.ToDatetime(UTC)
    assert (FIRST, []) == (by_id.replay_from_event_id, by_id.apps)


@pytest.mark.parametrize("since", ["yesterday", "", "crm:", ":1-1", "crm:x"])
def test_a_beginning_that_is_none_is_told(since: str):
    result = run("events", "tail", "--since", since)

    assert 2 == result.exit_code
    assert "is neither a time nor the id of an event." in result.stderr


async def test_a_refusal_is_told_by_its_reason_and_ends_with_1(fake: FakeBroker):
    fake.refusals["SubscribeEvents"] = Refusal(
        grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP", "no such app", metadata={"app": "nosuch"}
    )
    told = await ran(fake, "tail", "--app", "nosuch")
    told_as_json = await ran(fake, "tail", "--app", "nosuch", "--json")

    assert (1, "") == (told.exit_code, told.stdout)
    assert "error: UNKNOWN_APP: no such app (app=nosuch)\n" == told.stderr
    assert "UNKNOWN_APP" == json.loads(told_as_json.stderr)["error"]["reason"]


async def test_dead_events_are_listed_and_retried(fake: FakeBroker):
    messages = [event_message(each, share_kind=target_pb2.SHARE_KIND_UNSPECIFIED) for each in (1, 2, 3)]
    fake.dead = {message.event_id: message for message in messages}
    listed = await ran(fake, "dead", "audit", "crm")
    told = await ran(fake, "dead", "audit", "crm", "--json")
    retried = await ran(fake, "retry", "audit", FIRST, "crm:9-9")
    retried_as_json = await ran(fake, "retry", "audit", "crm:0000000000002-000000", "--json")
    in_vain = await ran(fake, "retry", "audit", "crm:9-9")

    assert f"{LOCAL}  crm  ww1  text  zhang  {FIRST}" == listed.stdout.splitlines()[0]
    assert ["", "", ""] == [json.loads(line)["share_kind"] for line in told.stdout.splitlines()]
    assert "private" not in listed.stdout + told.stdout
    assert "1 event queued for redelivery\n" == retried.stdout
    assert "0 events queued for redelivery: audit has given none of them up\n" == in_vain.stdout
    assert {"retried_count": 1} == json.loads(retried_as_json.stdout)
    assert ["crm:0000000000003-000000"] == list(fake.dead)


def test_what_wecom_calls_about_is_shown(playground: Playground):
    arguments = ["--type=text", "--since=2026-01-01", "--fields", "--json"]
    with process("events", "tail", *arguments, f"--address={playground.address}") as running:
        asyncio.run(send_event(playground.world, EventKind.TEXT, text="见字如面"))
        told = json.loads(running.stdout.readline())
        code, _, error = interrupted(running)

    assert ("crm", "ww0parent000000001", "text") == (told["app"], told["corp_id"], told["event_type"])
    assert "见字如面" == told["fields"]["Content"]
    assert (130, "") == (code, error)


def test_an_app_that_there_is_not_is_told(playground: Playground):
    result = run("events", "tail", "--app", "nosuch", "--address", playground.address)

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: UNKNOWN_APP: ")
