"""The event service over real connections: who gets what WeCom called about, and how often."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2

from tests.integration.acting.acting import Acting, refusal_of
from tests.integration.events.subscribing import (
    CALLBACK,
    HR_CALLBACK,
    A,
    B,
    Service,
    Stream,
    Wecom,
    calling_back,
    click,
    connected,
    serving,
)
from tests.kit.processes.fleet import refusal, until
from tests.kit.time_bounds import check_took

ALL_HELD = Duration(seconds=3600)
Running = tuple[Acting, Service, Wecom]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path, events={"max_tries": 2}) as running:
        yield running


@pytest.fixture
def service(running: Running) -> Service:
    return running[1]


@pytest.fixture
def wecom(running: Running) -> Wecom:
    return running[2]


# --- what comes


async def test_a_group_gets_what_came_before_it_and_what_comes_after(service: Service, wecom: Wecom) -> None:
    await wecom.says("a1 b1")
    stream = await service.joins()
    await wecom.says("a2")
    await stream.hears("a1 b1 a2")

    [first, *_] = stream.got
    event = first.event
    assert ("crm", A, "text", "lisi", 1000010) == (
        event.app,
        event.corp_id,
        event.event_type,
        event.user_id,
        event.agent_id,
    )
    assert event.event_id.startswith("crm:")
    assert "<Content><![CDATA[a1]]></Content>" in event.xml
    assert abs(event.receive_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert sorted(stream.ids) == stream.ids
    assert [1, 1, 1] == stream.counts


async def test_a_subscription_stands_before_there_is_an_event(service: Service) -> None:
    stream = service.opens()
    await asyncio.wait_for(stream.call.initial_metadata(), 2)

    assert [] == stream.got


async def test_an_event_is_heard_at_once(service: Service, wecom: Wecom) -> None:
    stream = await service.joins()
    for number in range(5):
        await wecom.says(f"a{number}")
        check_took(await until(lambda: len(stream.got) == number + 1, 5, 0.005), 1)  # noqa: B023 - at once


async def test_groups_and_members(service: Service, wecom: Wecom) -> None:
    one, two = await service.joins("one"), await service.joins("two")
    await wecom.says("a1 b1 c1")

    await one.hears("a1 b1 c1")
    await two.hears("a1 b1 c1")
    assert one.ids == two.ids


async def test_only_the_types_that_are_asked_for_come(service: Service, wecom: Wecom) -> None:
    stream = await service.joins(event_types=["click", "no_such_event"])
    await wecom.says("a1")
    await wecom.sends(click(A, "button"))
    await wecom.says("a2")

    await stream.hears("button")
    assert "click" == stream.got[0].event.event_type


async def test_one_subscription_may_be_of_several_apps(tmp_path: Path) -> None:
    base = {"corp_id": "ww0parent000000001", "agent_id": 1000002, "secret": "demo-secret-of-the-simulator"}
    shared = {**base, "share_kinds": ["corp_group"]}
    apps = [
        {"name": "crm", **shared, "callback": CALLBACK},
        {"name": "hr", **shared, "callback": HR_CALLBACK},
        {"name": "deaf", **base},
    ]
    async with (
        serving(tmp_path, apps=apps) as (acting, service, crm),
        calling_back(acting.broker.http_port, "hr") as hr,
    ):
        both, named = await service.joins("both"), await service.joins("named", apps=["hr", "crm", "hr"])
        one = await service.joins("one", apps=["hr"])
        await crm.says("a1")
        await hr.says("b1")
        await until(lambda: len(both.got) == len(named.got) == 2)
        await one.hears("b1")

        assert {("crm", A), ("hr", B)} == {(found.event.app, found.event.corp_id) for found in both.got}
        assert 2 == await service.acknowledges(both.ids, "both")
        assert 0 == await service.acknowledges(both.ids, "one-that-is-not-there")
        assert 1 == await service.acknowledges(both.ids, "one")
        metadata = (await refusal_of(service.opens("deaf", reads=False, apps=["crm", "deaf"]).call.read()))[1]
        assert "apps[1]" == metadata["field"]


# --- at least once


async def test_what_was_not_acknowledged_goes_to_another_when_a_call_is_cancelled(
    service: Service, wecom: Wecom
) -> None:
    first = await service.joins()
    await wecom.says("a1 a2 b1")
    await first.hears("a1 a2 b1")
    assert 1 == await service.acknowledges(first.ids[:1])
    second = await service.joins()
    await first.leaves()

    check_took(await second.hears("a2 b1"), 2)
    assert [2, 2] == second.counts


async def test_what_was_not_acknowledged_goes_to_another_when_the_connection_is_cut(
    running: Running, service: Service, wecom: Wecom
) -> None:
    acting, _, _ = running
    async with connected(acting.broker.grpc_addresses[0]) as other:
        cut = await other.joins()
        await wecom.says("a1")
        await cut.hears("a1")
        stayer = await service.joins()

    check_took(await stayer.hears("a1"), 2)


async def test_what_was_not_acknowledged_goes_to_another_when_a_member_hangs(
    service: Service, wecom: Wecom
) -> None:
    hanging = await service.joins(ack_timeout=Duration(seconds=1))
    await wecom.says("a1 b1")
    await hanging.hears("a1 b1")
    healthy = await service.joins(ack_timeout=ALL_HELD)

    check_took(await healthy.hears("a1 b1"), 6)
    assert [2, 2] == healthy.counts


async def test_what_is_acknowledged_is_done(service: Service, wecom: Wecom) -> None:
    stream = await service.joins()
    await wecom.says("a1 b1")
    await stream.hears("a1 b1")

    assert 2 == await service.acknowledges([*stream.ids, *stream.ids])
    assert 0 == await service.acknowledges(stream.ids)
    assert 0 == await service.acknowledges([])
    assert 0 == await service.acknowledges(["crm:1-1", "gone:1-1", "crm:9999999999999-999999"])
    await stream.leaves()
    again = await service.joins()
    await wecom.says("a2")
    await again.hears("a2")


async def test_a_malformed_id_is_named_and_nothing_is_acknowledged(service: Service, wecom: Wecom) -> None:
    stream = await service.joins()
    await wecom.says("a1 a2 a3")
    await stream.hears("a1 a2 a3")
    reason, metadata = await refusal_of(service.acknowledges([*stream.ids, "crm:nonsense"]))

    assert ("INVALID_REQUEST", "event_ids[3]") == (reason, metadata["field"])
    assert 3 == await service.acknowledges(stream.ids)


async def test_a_corps_events_go_to_one_member_in_order(service: Service, wecom: Wecom) -> None:
    members = [await service.joins(max_in_flight=3) for _ in range(3)]
    await wecom.says("a1 b1 c1 a2 b2 c2 a3 b3 c3")
    done: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    async def work(stream: Stream) -> None:
        for found in stream.got:
            if found.event.event_id not in handled:
                handled.add(found.event.event_id)
                word = found.event.fields["Content"]
                done[word[0]].append(word)
                await service.acknowledges([found.event.event_id])

    handled: set[str] = set()
    while len(handled) < 9:
        for stream in members:
            await work(stream)
        await asyncio.sleep(0.01)

    assert {corp: [f"{corp}{number}" for number in (1, 2, 3)] for corp in "abc"} == done
    assert 9 == sum(len(stream.got) for stream in members)


# --- what nobody can handle


async def test_an_event_that_nobody_can_handle_is_put_aside_and_may_come_again(
    service: Service, wecom: Wecom
) -> None:
    await wecom.says("a1 a2")
    for counts in ([1, 1], [2, 2]):
        poisoned = await service.joins()
        await poisoned.hears("a1 a2")
        assert counts == poisoned.counts
        await poisoned.leaves()
    stream = await service.joins()
    await stream.hears("a2")
    [dead] = (await service.dead()).events
    assert ("a1", A) == (dead.fields["Content"], dead.corp_id)

    assert 1 == await service.retries([dead.event_id, "crm:1-1"])
    await stream.hears("a2 a1")
    assert 3 == stream.counts[-1]
    assert 0 == await service.retries([dead.event_id])
    assert not (await service.dead()).events


async def test_the_dead_come_in_pages_and_may_be_dropped(service: Service, wecom: Wecom) -> None:
    await wecom.says("a1 a2 a3 a4 a5")
    for remaining in ("a1 a2 a3 a4 a5", "a1 a2 a3 a4 a5", "a2 a3 a4 a5", "a2 a3 a4 a5", "a3 a4 a5"):
        stream = await service.joins()
        await stream.hears(remaining)
        await stream.leaves()
    first = await service.dead(page_size=1)
    second = await service.dead(page_size=1, page_token=first.next_page_token)

    assert ["a1", "a2"] == [event.fields["Content"] for event in [*first.events, *second.events]]
    assert (True, "") == (bool(first.next_page_token), second.next_page_token)
    assert 2 == await service.acknowledges([event.event_id for event in [*first.events, *second.events]])
    assert not (await service.dead()).events
    for token in ("nonsense", "4oCm", "Y3JtOjEtMQ=="):
        assert "page_token" == (await refusal_of(service.dead(page_token=token)))[1]["field"]


# --- replay


async def test_a_group_may_be_set_back_to_an_event_and_to_a_time(service: Service, wecom: Wecom) -> None:
    stream = await service.joins()
    await wecom.says("a1 a2")
    await stream.hears("a1 a2")
    await asyncio.sleep(0.01)
    moment = datetime.now(UTC)
    await wecom.says("a3")
    await stream.hears("a1 a2 a3")
    ids = stream.ids
    await service.acknowledges(ids)
    await stream.leaves()

    by_id = await service.joins(replay_from_event_id=ids[1])
    await by_id.hears("a2 a3")
    await service.acknowledges(by_id.ids)
    await by_id.leaves()
    by_time = await service.joins(replay_from_time=moment)
    await by_time.hears("a3")
    await by_time.leaves()
    again = await service.joins()
    await again.hears("a3")
    everything = await service.joins("new", replay_from_time=datetime(1970, 1, 1, tzinfo=UTC))
    await everything.hears("a1 a2 a3")


# --- observing


async def test_who_looks_on_takes_nothing_from_anybody(service: Service, wecom: Wecom) -> None:
    await wecom.says("a1")
    await asyncio.sleep(0.2)
    worker = await service.joins()
    looker = await service.joins("")
    await wecom.says("a2 b1")
    await looker.hears("a2 b1")
    await worker.hears("a1 a2 b1")

    from_id = await service.joins("", replay_from_event_id=worker.ids[1])
    await from_id.hears("a2 b1")
    from_time = await service.joins(
        "", replay_from_time=datetime(2020, 1, 1, tzinfo=UTC), event_types=["text"]
    )
    await from_time.hears("a1 a2 b1")
    assert 3 == await service.acknowledges(worker.ids)


# --- room


async def test_a_hundred_are_at_hand_unless_another_number_is_asked_for(
    service: Service, wecom: Wecom
) -> None:
    await asyncio.gather(*(wecom.says(" ".join(f"{corp}{n}" for n in range(40))) for corp in "abc"))
    usual, few = await service.joins("usual"), await service.joins("few", max_in_flight=3)
    await until(lambda: (len(usual.got), len(few.got)) == (100, 3))
    await service.acknowledges(few.ids, "few")
    await until(lambda: len(few.got) == 6)
    await service.acknowledges(usual.ids, "usual")
    await until(lambda: len(usual.got) == 120)

    assert (120, 6) == (len(set(usual.ids)), len(few.got))


async def test_who_does_not_read_keeps_what_it_holds(service: Service, wecom: Wecom) -> None:
    slow = await service.joins(reads=False)
    await wecom.says("a1 b1 c1")
    quick = await service.joins()
    await asyncio.sleep(13)  # longer than a member that gives no sign of life is waited for
    assert "" == quick.words
    slow.resume()

    await slow.hears("a1 b1 c1")
    assert 3 == await service.acknowledges(slow.ids)
    assert "" == quick.words


# --- metrics and health


async def test_the_metrics_tell_how_far_a_group_is_behind(running: Running) -> None:
    acting, service, wecom = running
    stream = await service.joins()
    await wecom.says("a1 a2")
    await stream.hears("a1 a2")

    def shows(name: str, value: float) -> bool:
        labels = {"app": "crm", "group": "anyone/work"}
        registry = acting.broker.telemetry.metrics.registry
        return registry.get_sample_value(f"wecom_broker_{name}", labels) == value

    await until(lambda: shows("event_lag", 2))
    await service.acknowledges(stream.ids)
    await until(lambda: shows("event_lag", 0))
    text = b"".join(acting.broker.telemetry.metrics.exposition()).decode()
    assert 'wecom_broker_events_delivered_total{again="no",app="crm",group="anyone/work"} 2.0' in text


async def test_the_health_of_both_services_is_told(running: Running) -> None:
    acting, *_ = running
    for name in ("EventService", "CallbackService"):
        check = acting.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(health_pb2.HealthCheckRequest(service=f"wecom_broker.v1.{name}"))
        assert health_pb2.HealthCheckResponse.SERVING == answer.status


# --- leaving


@pytest.mark.parametrize("after", [0.0, 0.001, 0.005, 0.05])
async def test_a_cancelled_subscription_leaves_no_task_behind(
    service: Service, wecom: Wecom, after: float
) -> None:
    await wecom.says("a1 b1")
    await (await service.joins("first")).leaves()
    before = await quiet_tasks()
    for _ in range(20):
        stream = service.opens()
        await asyncio.sleep(after)
        await stream.leaves()

    await until(lambda: task_names() <= before, 10)
    stream = await service.joins("second")
    await stream.hears("a1 b1")


async def test_what_a_stuck_call_holds_is_free_when_it_is_cancelled(service: Service, wecom: Wecom) -> None:
    words = [f"{corp}{number}{'x' * 20_000}" for number in range(10) for corp in "abc"]
    await asyncio.gather(*(wecom.says(word) for word in words))
    stuck = await service.joins(reads=False)
    await asyncio.sleep(0.3)  # more than its window was written by now
    other = await service.joins()
    assert [] == other.got
    await stuck.leaves()

    check_took(await until(lambda: len(other.got) == len(words)), 3)
    assert sorted(words) == sorted(other.words.split())


def task_names() -> set[str]:
    """Return what runs for subscriptions: the broker is in this process."""
    found = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return {name for name in found if "Event" in name or "Waiter" in name or "Servicer" in name}


async def quiet_tasks() -> set[str]:
    await until(lambda: not any("Subscription" in name for name in task_names()), 10)
    return task_names()


async def test_a_group_too_many_is_refused(service: Service) -> None:
    for number in range(100):
        await (await service.joins(f"group-{number}")).leaves()
    late = service.opens("one-more")
    await until(lambda: late.ended)

    assert late.error
    found = refusal(late.error)
    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") == (found.code, found.reason)
    assert ("group", "crm") == (found.metadata["field"], found.metadata["app"])
    assert (await service.joins("group-7")).got == []
