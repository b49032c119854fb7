"""Who may hear of what, and what is asked for in a way that nobody can answer."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from broker.simulator.demo import PARENT, SECRET
from tests.integration.acting.acting import acting, refusal_of
from tests.integration.events.subscribing import (
    CALLBACK,
    HR_CALLBACK,
    A,
    B,
    C,
    Service,
    Wecom,
    calling_back,
    connected,
)
from tests.kit.processes.fleet import until

BASE = {"corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": SECRET, "share_kinds": ["corp_group"]}
APPS = [
    {"name": "crm", **BASE, "callback": CALLBACK},
    {"name": "hr", **BASE, "callback": HR_CALLBACK},
    {"name": "deaf", **BASE},
]


def rule(*apps: str, corps: tuple[str, ...] = ("*",), action: str = "event.subscribe") -> dict[str, Any]:
    return {"apps": list(apps), "corps": list(corps), "actions": [action]}


RULES = {
    "all": [rule("*")],
    "twin": [rule("*")],
    "crm-only": [rule("crm")],
    "some": [rule("crm", corps=(B, C))],
    "deaf-only": [rule("deaf")],
    "other": [rule("*", action="share.read")],
    "nobody": [],
    "reader": [rule("*"), rule("crm", action="admin.read")],
    "ops": [rule("*"), rule("*", action="admin.read"), rule("*", action="admin.refresh")],
}


class Desk:
    """What a test holds: callers by name, and WeCom's side of both apps."""

    def __init__(self, callers: dict[str, Service], crm: Wecom, hr: Wecom) -> None:
        self._callers = callers
        self.crm = crm
        self.hr = hr

    def __getitem__(self, name: str) -> Service:
        return self._callers[name]


@asynccontextmanager
async def open_desk(folder: Path, **tables: Any) -> AsyncIterator[Desk]:
    callers = [
        {
            "name": name,
            "token_sha256": hashlib.sha256(f"token-of-{name}".encode()).hexdigest(),
            "allow": allow,
        }
        for name, allow in RULES.items()
    ]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(acting(folder, apps=APPS, callers=callers, **tables))
        [address] = running.broker.grpc_addresses
        known = {
            name: await stack.enter_async_context(connected(address, f"token-of-{name}"))
            for name in (*RULES, "stranger")
        }
        crm = await stack.enter_async_context(calling_back(running.broker.http_port, "crm"))
        hr = await stack.enter_async_context(calling_back(running.broker.http_port, "hr"))
        yield Desk(known, crm, hr)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
async def strict_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """One where an event that is not acknowledged in time is given up at once."""
    async with open_desk(tmp_path, events={"max_tries": 1}) as desk:
        yield desk


async def refused(service: Service, group: str = "work", **wish: Any) -> tuple[str, str]:
    """Return the reason, and the field if it is one."""
    stream = service.opens(group, reads=False, **wish)
    reason, metadata = await refusal_of(asyncio.wait_for(stream.call.read(), 10))
    return reason, metadata.get("field", "")


async def test_a_caller_sees_the_corps_of_its_rule_and_the_others_are_not_in_the_way(desk: Desk) -> None:
    stream, looker = await desk["some"].joins(max_in_flight=1), await desk["some"].joins("")
    await desk.crm.says("a1 b1 a2 c1 a3")
    await stream.hears("b1")
    assert 1 == await desk["some"].acknowledges(stream.ids)

    await stream.hears("b1 c1")
    await looker.hears("b1 c1")


async def test_without_a_name_all_apps_that_one_may_are_meant(desk: Desk) -> None:
    everything, some = await desk["all"].joins(), await desk["crm-only"].joins()
    await desk.hr.says("a1")
    await everything.hears("a1")
    await desk.crm.says("b1")

    await everything.hears("a1 b1")
    await some.hears("b1")


async def test_groups_of_two_callers_are_two_groups(desk: Desk) -> None:
    one, two = await desk["all"].joins(), await desk["twin"].joins()
    await desk.crm.says("a1")
    await one.hears("a1")
    await two.hears("a1")

    assert 1 == await desk["twin"].acknowledges(two.ids)
    await one.leaves()
    again = await desk["all"].joins()
    await again.hears("a1")
    assert 1 == await desk["all"].acknowledges(one.ids)


async def test_nobody_acknowledges_or_retries_what_is_anothers(desk: Desk) -> None:
    stream = await desk["all"].joins(apps=["hr"])
    await desk.hr.says("a1")
    await stream.hears("a1")

    for name in ("twin", "crm-only", "some"):
        assert 0 == await desk[name].acknowledges(stream.ids)
        assert 0 == await desk[name].retries(stream.ids)
        assert "INVALID_REQUEST" == (await refusal_of(desk[name].acknowledges(stream.ids, "all/work")))[0]
    assert 1 == await desk["all"].acknowledges(stream.ids)


async def test_an_operator_reads_and_retries_the_dead_events_of_others(strict_desk: Desk) -> None:
    await given_up(strict_desk)

    dead = (await strict_desk["ops"].dead(group="all/work")).events
    assert ["a1"] == [event.fields["Content"] for event in dead]
    assert ["a1"] == [
        event.fields["Content"] for event in (await strict_desk["reader"].dead(group="all/work")).events
    ]
    assert [] == list((await strict_desk["ops"].dead()).events)
    ids = [event.event_id for event in dead]
    assert "CALLER_NOT_ALLOWED" == (await refusal_of(strict_desk["reader"].retries(ids, "all/work")))[0]
    assert 1 == await strict_desk["ops"].retries(ids, "all/work")
    again = await strict_desk["all"].joins(apps=["crm"])
    await again.hears("a1")


@pytest.mark.parametrize("name", ["twin", "some", "crm-only"])
async def test_nobody_else_reads_or_retries_them(strict_desk: Desk, name: str) -> None:
    [event_id] = await given_up(strict_desk)

    for call in (strict_desk[name].dead(group="all/work"), strict_desk[name].retries([event_id], "all/work")):
        assert "CALLER_NOT_ALLOWED" == (await refusal_of(call))[0]
    assert 1 == await strict_desk["all"].retries([event_id], "all/work")


@pytest.mark.parametrize("group", ["all/", "/work", "a/b/c", "all/wo rk"])
async def test_a_malformed_group_of_another_is_named(desk: Desk, group: str) -> None:
    reason, metadata = await refusal_of(desk["ops"].dead(group=group))
    assert ("INVALID_REQUEST", "group") == (reason, metadata["field"])


async def given_up(desk: Desk) -> list[str]:
    """Return the ids of an event that the group all/work gave up."""
    stream = await desk["all"].joins(apps=["crm"], ack_timeout=Duration(seconds=1))
    await desk.crm.says("a1")
    await stream.hears("a1")

    async def is_dead() -> bool:
        return bool((await desk["all"].dead()).events)

    await until(is_dead)
    await stream.leaves()
    return stream.ids[:1]


@pytest.mark.parametrize("name", ["nobody", "other"])
async def test_without_rights_there_is_nothing(desk: Desk, name: str) -> None:
    caller = desk[name]

    assert ("CALLER_NOT_ALLOWED", "") == await refused(caller)
    assert ("CALLER_NOT_ALLOWED", "") == await refused(caller, "")
    assert ("CALLER_NOT_ALLOWED", "") == await refused(caller, apps=["crm"])
    for call in (caller.acknowledges(["crm:1-1"]), caller.retries(["crm:1-1"]), caller.dead()):
        assert "CALLER_NOT_ALLOWED" == (await refusal_of(call))[0]


async def test_who_is_not_known_is_told_nothing(desk: Desk) -> None:
    stranger = desk["stranger"]

    assert ("UNAUTHENTICATED", "") == await refused(stranger, "a/b", apps=["no-such-app"])
    for call in (stranger.acknowledges(["crm:x"]), stranger.retries(["crm:x"]), stranger.dead("no-such-app")):
        assert "UNAUTHENTICATED" == (await refusal_of(call))[0]


async def test_an_app_of_others_is_refused_by_name(desk: Desk) -> None:
    assert ("CALLER_NOT_ALLOWED", "") == await refused(desk["crm-only"], apps=["crm", "hr"])
    assert "CALLER_NOT_ALLOWED" == (await refusal_of(desk["crm-only"].dead("hr")))[0]


async def test_who_may_only_apps_that_are_never_called_back_hears_that(desk: Desk) -> None:
    assert ("INVALID_REQUEST", "apps") == await refused(desk["deaf-only"])
    assert ("INVALID_REQUEST", "apps") == await refused(desk["deaf-only"], "")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"group": "a/b"}, "group"),
        ({"group": "x" * 65}, "group"),
        ({"group": " "}, "group"),
        ({"max_in_flight": 1001}, "max_in_flight"),
        ({"max_in_flight": -1}, "max_in_flight"),
        ({"ack_timeout": Duration()}, "ack_timeout"),
        ({"ack_timeout": Duration(seconds=-1)}, "ack_timeout"),
        ({"ack_timeout": Duration(seconds=7200)}, "ack_timeout"),
        ({"event_types": ["text", "a b"]}, "event_types[1]"),
        ({"event_types": [" "]}, "event_types[0]"),
        (
            {"replay_from_time": Timestamp(seconds=1), "replay_from_event_id": "crm:1-1"},
            "replay_from_event_id",
        ),
        ({"replay_from_time": Timestamp(seconds=2**62)}, "replay_from_time"),
        ({"replay_from_event_id": "hr:1-1", "apps": ["crm"]}, "replay_from_event_id"),
        ({"replay_from_event_id": "nonsense"}, "replay_from_event_id"),
        ({"apps": ["crm", ""]}, "apps[1]"),
        ({"apps": ["crm", "a b"]}, "apps[1]"),
        ({"apps": ["crm", "deaf"]}, "apps[1]"),
    ],
)
async def test_what_is_malformed_is_named(desk: Desk, wish: dict[str, Any], field: str) -> None:
    assert ("INVALID_REQUEST", field) == await refused(desk["all"], **wish)
    looking = {**wish, "group": ""} if "group" not in wish else wish
    assert ("INVALID_REQUEST", field) == await refused(desk["all"], **looking)


async def test_an_app_that_is_not_there_is_unknown(desk: Desk) -> None:
    assert "UNKNOWN_APP" == (await refused(desk["all"], apps=["crm", "no-such-app"]))[0]
    assert "UNKNOWN_APP" == (await refusal_of(desk["all"].dead("no-such-app")))[0]


async def test_the_other_calls_need_a_group_and_sound_ids_too(desk: Desk) -> None:
    caller = desk["all"]
    for group in ("", "a/", "/b", "a/b/c", "x" * 65):
        for call in (caller.acknowledges([], group), caller.retries([], group), caller.dead("crm", group)):
            reason, metadata = await refusal_of(call)
            assert ("INVALID_REQUEST", "group") == (reason, metadata["field"])
    reason, metadata = await refusal_of(caller.acknowledges([], "a/b"))
    assert ("INVALID_REQUEST", "group") == (reason, metadata["field"])
    for call in (caller.retries([], "a/b"), caller.dead("crm", "a/b")):
        assert "CALLER_NOT_ALLOWED" == (await refusal_of(call))[0]
    for call in (caller.acknowledges(["crm:1-1"] * 1001), caller.retries(["crm:1-1"] * 1001)):
        assert "event_ids" == (await refusal_of(call))[1]["field"]
    for name, field in (("", "app"), ("a b", "app"), ("deaf", "app")):
        assert field == (await refusal_of(caller.dead(name)))[1]["field"]
    assert "page_size" == (await refusal_of(caller.dead(page_size=-1)))[1]["field"]


async def test_many_groups_of_one_caller_are_no_hindrance_to_others(desk: Desk) -> None:
    streams = [await desk["all"].joins(f"group-{number}", apps=["crm"]) for number in range(100)]

    assert ("INVALID_REQUEST", "group") == await refused(desk["all"], "one-more", apps=["crm"])
    assert (await desk["all"].joins("one-more", apps=["hr"])).got == []
    assert (await desk["twin"].joins("one-more")).got == []
    await desk.crm.says("a1")
    await asyncio.gather(*(stream.hears("a1") for stream in streams))
    assert A == streams[0].got[0].event.corp_id
