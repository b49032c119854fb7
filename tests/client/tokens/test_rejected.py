"""What happens when WeCom refuses a token."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import aclosing
from typing import TYPE_CHECKING

import grpc
import pytest
from wecom_broker.errors import BrokerClosed, RateLimited

from tests.client.waiting import until

if TYPE_CHECKING:
    from wecom_broker import Broker

from tests.client.fake_broker import FakeBroker, Refusal

DEAD = 42001


async def test_a_hundred_rejections_at_once_are_one_call(fake: FakeBroker, broker: Broker):
    token = await broker.access_token("crm", "ww1")
    fake.hold()
    callers = [asyncio.create_task(broker.rejected(token, DEAD)) for _ in range(100)]
    await fake.until(lambda: fake.calls["ReportInvalidToken"] == 1)
    fake.release()

    assert {2} == {new.generation for new in await asyncio.gather(*callers)}
    assert 1 == fake.calls["ReportInvalidToken"]
    assert (1, DEAD, "crm", "ww1") == (
        fake.requests[-1].generation,
        fake.requests[-1].errcode,
        fake.requests[-1].target.app,
        fake.requests[-1].target.corp_id,
    )


async def test_the_new_token_is_in_memory(fake: FakeBroker, broker: Broker):
    token = await broker.access_token("crm", "ww1")
    new = await broker.rejected(token, DEAD)

    assert new is await broker.access_token("crm", "ww1")
    assert 0 == fake.calls["GetAccessToken"]


async def test_a_token_that_was_replaced_meanwhile_makes_no_call(fake: FakeBroker, broker: Broker):
    old = await broker.access_token("crm", "ww1")
    new = await broker.rejected(old, DEAD)

    assert new is await broker.rejected(old, DEAD)
    assert 1 == fake.calls["ReportInvalidToken"]


async def test_an_older_answer_does_not_replace_a_newer_token(fake: FakeBroker, broker: Broker):
    token = await broker.access_token("crm", "ww1")
    fake.rotate("crm", "ww1", generation=9)
    await until(lambda: broker.held_token("crm", "ww1").generation == 9)
    newest = await broker.access_token("crm", "ww1")
    fake.rotate("crm", "ww1", generation=4)  # a replica that lags behind

    assert newest is await broker.rejected(token, DEAD)
    assert newest is await broker.access_token("crm", "ww1")


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
async def test_a_report_is_never_answered_with_the_token_that_it_reports(
    fake: FakeBroker, broker: Broker, *, watched: bool
):
    if not watched:
        fake.refusals["WatchAccessToken"] = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMITED")
    fake.rotate("crm", "ww1", generation=9)
    dead = await broker.access_token("crm", "ww1")
    fake.rotate("crm", "ww1", generation=4)
    answer = await broker.rejected(dead, DEAD)

    assert (9, 4) == (dead.generation, answer.generation)
    assert answer == await broker.access_token("crm", "ww1")


async def test_a_report_brings_the_token_of_the_former_agent_id(fake: FakeBroker, broker: Broker):
    fake.rotate("crm", "ww1", generation=9)
    dead = await broker.access_token("crm", "ww1")
    await fake.stop()
    fake.agent_id = 1000001
    fake.rotate("crm", "ww1", generation=4)
    await fake.start()

    assert (1000001, 4) == ((new := await broker.rejected(dead, DEAD)).agent_id, new.generation)


async def test_a_held_token_of_another_agent_id_does_not_answer_a_report(fake: FakeBroker, broker: Broker):
    fake.rotate("crm", "ww1", generation=9)
    await broker.access_token("crm", "ww1")
    former = dataclasses.replace(await broker.access_token("crm", "ww1"), agent_id=1000001, generation=4)
    await broker.rejected(former, DEAD)

    assert 1 == fake.calls["ReportInvalidToken"]


async def test_a_token_from_elsewhere_can_be_reported(broker: Broker):
    async with aclosing(broker.watch_access_token("crm", "ww1")) as tokens:
        token = await anext(tokens)

    assert 2 == (await broker.rejected(token, DEAD)).generation
    assert broker.held_token("crm", "ww1") is None


async def test_a_refused_report_raises_and_leaves_the_memory_alone(fake: FakeBroker, broker: Broker):
    token = await broker.access_token("crm", "ww1")
    fake.refusals["ReportInvalidToken"] = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")

    with pytest.raises(RateLimited):
        await broker.rejected(token, DEAD)
    assert token is await broker.access_token("crm", "ww1")


async def test_a_cancelled_reporter_does_not_disturb_the_others(fake: FakeBroker, broker: Broker):
    token = await broker.access_token("crm", "ww1")
    fake.hold()
    first, second = (asyncio.create_task(broker.rejected(token, DEAD)) for _ in range(2))
    await fake.until(lambda: fake.calls["ReportInvalidToken"] == 1)
    first.cancel()
    fake.release()

    assert 2 == (await second).generation
    assert first.cancelled()


async def test_closing_meanwhile_tells_the_reporter(fake: FakeBroker, broker: Broker):
    token = await broker.access_token("crm", "ww1")
    fake.hold()
    reporter = asyncio.create_task(broker.rejected(token, DEAD))
    await fake.until(lambda: fake.calls["ReportInvalidToken"] == 1)
    await broker.close()

    with pytest.raises(BrokerClosed):
        await reporter
    fake.release()
