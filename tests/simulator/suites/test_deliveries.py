"""How the answers of a suite's URLs are judged and kept."""

import asyncio

import pytest
from aiohttp import web

from broker.simulator.callbacks.suite_sender import send_suite_event
from broker.simulator.world.events.delivery import Delivery
from tests.simulator.suites.acme import PARENT
from tests.simulator.suites.told import Told


async def create_auth(told: Told) -> Delivery:
    told.world.console.install("market", PARENT)
    await told.world.callbacks.outbox.settled()
    return told.world.callbacks.outbox.deliveries[-1]


@pytest.mark.slow
async def test_a_late_answer_is_a_failure_and_the_same_code_is_sent_again(told: Told) -> None:
    held = asyncio.Event()
    told.receiver.answers = [held]
    delivery = await create_auth(told)
    first, second = await told.all()

    assert ["no answer within 1 s", ""] == [attempt.error for attempt in delivery.attempts]
    assert delivery.attempts[1].seconds < 1 <= delivery.attempts[0].seconds
    assert delivery.accepted
    assert first.text("AuthCode") == second.text("AuthCode")


async def test_anything_but_the_word_is_a_failure(told: Told) -> None:
    told.receiver.answers = [web.Response(text=text) for text in ("", "success\n", "Success", "ok")]
    delivery = await create_auth(told)

    assert ["", "success\n", "Success", "ok"] == [attempt.body for attempt in delivery.attempts]
    assert not delivery.accepted


async def test_a_data_event_needs_no_word(told: Told) -> None:
    told.receiver.answers = [web.Response(text="success"), web.Response()]
    await create_auth(told)
    delivery = await send_suite_event(told.world, "market", "enter_agent", PARENT)

    assert delivery.accepted
    assert 1 == len(delivery.attempts)
