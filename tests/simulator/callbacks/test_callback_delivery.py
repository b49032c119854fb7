"""How the simulator sends events: sealed for whom, in what time, how often, and what it keeps of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from broker.simulator import (
    AppId,
    BusinessType,
    Callback,
    EventKind,
    Format,
    Whose,
    World,
    demo,
    running_simulator,
    send_event,
    verify_url,
)
from tests.simulator.callbacks.receiver import Got, Receiver, running_receiver

CHILD = AppId("ww1child000000001", 1000010)
NEWCOMER = AppId("ww7new", 1000077)
PARENT = demo.PARENT


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def callback(world: World, receiver: Receiver) -> Callback:
    callback = Callback(receiver.url, demo.CALLBACK_KEYS)
    world.callbacks.set(callback)
    return callback


def changed(world: World, callback: Callback, **settings: Any) -> None:
    world.callbacks.set(replace(callback, **settings))


def envelope_of(got: Got) -> tuple[str, ...]:
    return got.receive_id, got.to_user_name, got.agent_id, got.text("ToUserName"), got.text("AgentID")


# --- for whom


async def test_an_event_arrives_signed_and_its_answer_is_kept(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    (delivery,) = await send_event(world, "text", CHILD.corpid, "lisi", text="hi")

    assert delivery.accepted
    assert [(200, "success", "")] == [(a.status, a.body, a.error) for a in delivery.attempts]
    assert 0 < delivery.attempts[0].seconds < 5
    assert "hi" == receiver.got[0].text("Content")
    assert [delivery] == list(world.callbacks.outbox.deliveries)


@pytest.mark.parametrize("body_format", list(Format))
@pytest.mark.parametrize("kind", EventKind)
async def test_every_kind_passes_a_receiver_that_checks_it(
    world: World, receiver: Receiver, callback: Callback, kind: EventKind, body_format: Format
) -> None:
    (delivery,) = await send_event(world, kind, CHILD.corpid, body_format=body_format)

    assert delivery.accepted
    assert body_format.content_type == receiver.got[0].content_type
    assert kind.wire_name in receiver.got[0].message.decode()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (PARENT.corpid, PARENT.corpid, "1000010", CHILD.corpid, "1000010")),
        (
            {"receive_id": Whose.CHILD},
            (CHILD.corpid, PARENT.corpid, "1000010", CHILD.corpid, "1000010"),
        ),
        (
            {"to_user_name": Whose.CHILD},
            (PARENT.corpid, CHILD.corpid, "1000010", CHILD.corpid, "1000010"),
        ),
        (
            {"agent_id": Whose.PARENT},
            (PARENT.corpid, PARENT.corpid, "1000002", CHILD.corpid, "1000002"),
        ),
    ],
)
async def test_what_is_not_documented_of_a_childs_event_is_a_setting(
    world: World, receiver: Receiver, callback: Callback, settings: dict[str, Any], expected: tuple[str, ...]
) -> None:
    changed(world, callback, **settings)
    await send_event(world, "text", CHILD.corpid)

    assert expected == envelope_of(receiver.got[0])


async def test_the_parents_own_events_name_the_parent_whatever_is_set(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    changed(world, callback, receive_id=Whose.CHILD, to_user_name=Whose.CHILD)
    for kind in ("share_agent_change", "share_chain_change", "text"):
        await send_event(world, kind)

    assert [(PARENT.corpid, PARENT.corpid, "1000002", PARENT.corpid, "1000002")] * 3 == [
        envelope_of(got) for got in receiver.got
    ]


async def test_commands_are_sealed_for_the_suite(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    await send_event(world, "suite_ticket")
    changed(world, callback, suite_id="ww0another")
    await send_event(world, "cancel_auth", CHILD.corpid)

    assert [
        (demo.SUITE_ID, demo.SUITE_ID, "", demo.SUITE_ID),
        ("ww0another", "ww0another", "", "ww0another"),
    ] == [(got.receive_id, got.to_user_name, got.agent_id, got.text("SuiteId")) for got in receiver.got]


@pytest.mark.parametrize("body_format", list(Format))
async def test_an_id_that_cannot_be_sent_is_replaced(
    world: World, receiver: Receiver, callback: Callback, body_format: Format
) -> None:
    changed(world, callback, receive_id=Whose.CHILD, to_user_name=Whose.CHILD)
    (delivery,) = await send_event(world, "text", "ww\ud800", body_format=body_format)
    await verify_url(world, receive_id="ww\ud800")

    assert delivery.accepted
    assert "ww?" == receiver.got[0].receive_id


async def test_timestamps_are_of_the_worlds_time(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    world.advance(5)
    await send_event(world, "text")

    assert ("1800000005", "1800000005") == (
        receiver.got[0].query["timestamp"],
        receiver.got[0].text("CreateTime"),
    )


async def test_each_of_many_is_another_message(world: World, receiver: Receiver, callback: Callback) -> None:
    assert 3 == len(await send_event(world, "text", count=3))
    assert 3 == len({got.text("MsgId") for got in receiver.got})


async def test_an_app_without_a_callback_is_not_called(world: World) -> None:
    with pytest.raises(LookupError, match="no callback"):
        await send_event(world, "text")

    assert not world.callbacks.clear()


@pytest.mark.parametrize("url", ["", "ftp://host/", "/callback", "http://", "http://host:99999999/"])
def test_a_callback_needs_an_http_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Callback(url, demo.CALLBACK_KEYS)


# --- again


async def test_a_failure_is_sent_again_and_then_is_good(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    receiver.answers = [web.Response(status=503, text="busy"), web.Response(status=302)]
    (delivery,) = await send_event(world, "text")

    assert [503, 302, 200] == [attempt.status for attempt in delivery.attempts]
    assert delivery.accepted
    assert 1 == len({got.message for got in receiver.got})


async def test_after_three_retries_it_is_given_up(
    world: World, receiver: Receiver, callback: Callback, slept: list[float]
) -> None:
    changed(world, callback, pause_seconds=2.5)
    receiver.answers = [web.Response(status=500) for _ in range(9)]
    (delivery,) = await send_event(world, "text")

    assert [500] * 4 == [attempt.status for attempt in delivery.attempts]
    assert not delivery.accepted
    assert 4 == len(receiver.got)
    assert [2.5] * 3 == slept


@pytest.mark.parametrize("sealed_anew", [True, False])
async def test_a_repeat_is_sealed_anew_or_the_same_envelope(
    world: World, receiver: Receiver, callback: Callback, *, sealed_anew: bool
) -> None:
    changed(world, callback, sealed_anew=sealed_anew)
    receiver.answers = [web.Response(status=500)]
    await send_event(world, "text")
    first, second = receiver.got

    assert first.message == second.message
    assert sealed_anew == (first.query["nonce"] != second.query["nonce"])
    assert sealed_anew == (first.query["msg_signature"] != second.query["msg_signature"])


async def test_no_answer_in_time_is_a_failure(world: World, receiver: Receiver, callback: Callback) -> None:
    changed(world, callback, within_seconds=0.2)
    receiver.answers = [asyncio.Event()]
    (delivery,) = await send_event(world, "text")

    assert [(None, "no answer within 0.2 s"), (200, "")] == [
        (attempt.status, attempt.error) for attempt in delivery.attempts
    ]


async def test_nobody_there_is_a_failure(world: World, receiver: Receiver, callback: Callback) -> None:
    await receiver.stop()
    (delivery,) = await send_event(world, "text")

    assert [None] * 4 == [attempt.status for attempt in delivery.attempts]
    assert "Connect" in delivery.attempts[0].error


async def test_only_a_command_needs_the_word_success(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    receiver.answers = [web.Response(), web.Response(text="success\n")]

    assert 1 == len((await send_event(world, "text"))[0].attempts)
    assert 2 == len((await send_event(world, "suite_ticket"))[0].attempts)


def test_an_authorization_has_to_be_answered_within_a_second(callback: Callback) -> None:
    at_once = {kind for kind in EventKind if callback.seconds_for(kind) == 1.0}

    assert {
        "create_auth",
        "change_auth",
        "cancel_auth",
        "reset_permanent_code",
        "agree_external_userid_migration",
    } == at_once
    assert {5.0} == {callback.seconds_for(kind) for kind in set(EventKind) - at_once}


# --- verification


async def test_a_url_passes_that_gives_the_bare_digits_back(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    verification = await verify_url(world)

    assert verification.passed
    assert verification.plaintext == verification.attempt.body
    assert verification.plaintext.isdecimal()


@pytest.mark.parametrize("around", ['"{}"', "{}\n", "\ufeff{}", "", "{} "])
async def test_a_url_does_not_pass_with_anything_around_the_digits(
    world: World, receiver: Receiver, callback: Callback, around: str
) -> None:
    class Wrapping(Receiver):
        async def _answer(self, right: str) -> web.Response:
            return web.Response(text=around.format(right))

    async with running_receiver(Wrapping) as wrapping:
        changed(world, callback, url=wrapping.url)

        assert not (await verify_url(world)).passed


@pytest.mark.slow
async def test_a_url_does_not_pass_that_is_slow(world: World, receiver: Receiver, callback: Callback) -> None:
    receiver.answers = [asyncio.Event()]
    verification = await verify_url(world)

    assert not verification.passed
    assert "no answer within 1 s" == verification.attempt.error


# --- by itself


async def told(world: World, receiver: Receiver) -> list[str]:
    await world.callbacks.outbox.settled()
    names = [got.text("Event") or got.text("InfoType") for got in receiver.got]
    receiver.got.clear()
    return names


async def test_shares_tell_of_themselves_while_a_simulator_runs(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    async with running_simulator(world):
        world.share(PARENT, NEWCOMER)
        assert ["share_agent_change"] == await told(world, receiver)

        world.unshare(PARENT, NEWCOMER)
        assert ["share_agent_change"] == await told(world, receiver)

        world.share(PARENT, NEWCOMER, BusinessType.SUPPLY_CHAIN)
        world.unshare(PARENT, NEWCOMER, BusinessType.SUPPLY_CHAIN)
        assert ["share_chain_change"] * 2 == await told(world, receiver)

        changed(world, callback, suite_id="ww0suite")
        world.share(PARENT, NEWCOMER)
        world.share(PARENT, NEWCOMER, BusinessType.SUPPLY_CHAIN)
        assert {"share_agent_change", "share_chain_change"} == set(await told(world, receiver))
        assert ["suite_share_agent_change", "suite_share_chain_change"] == [
            delivery.event.kind for delivery in list(world.callbacks.outbox.deliveries)[-2:]
        ]


async def test_only_a_change_of_the_list_is_told(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    async with running_simulator(world):
        world.share(PARENT, CHILD)
        world.unshare(PARENT, NEWCOMER)
        world.share(PARENT, NEWCOMER, confirmed=False)
        world.unshare(PARENT, NEWCOMER)
        world.share(PARENT, NEWCOMER, confirmed=False)
        assert [] == await told(world, receiver)

        world.share(PARENT, NEWCOMER)
        assert ["share_agent_change"] == await told(world, receiver)


async def test_another_apps_shares_and_a_cleared_callback_are_silent(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    world.add_app(PARENT.corpid, 5)
    async with running_simulator(world):
        world.share(AppId(PARENT.corpid, 5), NEWCOMER)
        assert world.callbacks.clear()
        world.share(PARENT, NEWCOMER)

        assert [] == await told(world, receiver)


async def test_what_happened_before_the_simulator_ran_is_told_then(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    world.share(PARENT, NEWCOMER)
    assert [[]] == [delivery.attempts for delivery in world.callbacks.outbox.deliveries]

    async with running_simulator(world):
        assert ["share_agent_change"] == await told(world, receiver)


async def test_the_world_may_be_changed_from_another_thread(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    async with running_simulator(world):
        await asyncio.to_thread(world.share, PARENT, NEWCOMER)

        assert ["share_agent_change"] == await told(world, receiver)


async def test_a_receiver_that_hangs_does_not_hold_up_the_others(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    released = asyncio.Event()
    receiver.answers = [released]
    async with running_simulator(world):
        world.share(PARENT, NEWCOMER)
        world.share(PARENT, NEWCOMER, BusinessType.SUPPLY_CHAIN)
        while len(receiver.got) < 2:
            await asyncio.sleep(0.001)
        released.set()
        await world.callbacks.outbox.settled()

    assert all(delivery.accepted for delivery in world.callbacks.outbox.deliveries)


async def test_leaving_gives_up_what_is_under_way_at_once(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    receiver.answers = [asyncio.Event()]
    async with asyncio.timeout(2), running_simulator(world):
        world.share(PARENT, NEWCOMER)
        while not receiver.got:
            await asyncio.sleep(0.001)

    assert [[]] == [delivery.attempts for delivery in world.callbacks.outbox.deliveries]
