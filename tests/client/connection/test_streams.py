"""Iterators over streams: the rules of `wecom_broker._connection.streams`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import grpc
import pytest
from wecom_broker import Broker
from wecom_broker._connection.backoff import Backoff
from wecom_broker.errors import AppNotShared, BrokerClosed, BrokerUnreachable

from tests.client.fake_broker import FakeBroker, Refusal


async def test_the_present_token_comes_first_then_each_rotation(fake: FakeBroker, broker: Broker):
    async with aclosing(broker.watch_access_token("crm", corp="ww1")) as tokens:
        assert 1 == (await anext(tokens)).generation
        fake.rotate("crm", "ww1")
        assert 2 == (await anext(tokens)).generation
    await fake.until(lambda: fake.open_streams == 0)


async def test_a_watch_goes_on_over_a_restart_and_repeats_nothing(fake: FakeBroker, broker: Broker):
    async with aclosing(broker.watch_access_token("crm", corp="ww1")) as tokens:
        await anext(tokens)
        following = asyncio.create_task(anext(tokens))
        await fake.stop()
        fake.rotate("crm", "ww1")
        await fake.start()
        assert 2 == (await following).generation

        following = asyncio.create_task(anext(tokens))
        fake.end_streams()
        await fake.until(lambda: fake.calls["WatchAccessToken"] == 3)
        fake.rotate("crm", "ww1", generation=1)
        fake.rotate("crm", "ww1", generation=5)
        assert 5 == (await following).generation


async def test_a_watch_that_cannot_be_opened_raises(fake: FakeBroker, broker: Broker):
    await fake.stop()

    with pytest.raises(BrokerUnreachable):
        await anext(broker.watch_access_token("crm"))


async def test_a_definitive_end_is_raised(fake: FakeBroker, broker: Broker):
    async with aclosing(broker.watch_access_token("crm", corp="ww1")) as tokens:
        await anext(tokens)
        fake.end_streams(Refusal(grpc.StatusCode.NOT_FOUND, "APP_NOT_SHARED"))

        with pytest.raises(AppNotShared):
            await anext(tokens)


async def test_closing_the_client_ends_a_watch_that_is_read(broker: Broker):
    async with aclosing(broker.watch_access_token("crm", corp="ww1")) as tokens:
        await anext(tokens)
        following = asyncio.create_task(anext(tokens))
        await asyncio.sleep(0)
        await broker.close()

        with pytest.raises(BrokerClosed):
            await following


async def test_closing_the_client_ends_a_watch_that_waits_for_the_broker(fake: FakeBroker, broker: Broker):
    async with aclosing(broker.watch_access_token("crm", corp="ww1")) as tokens:
        await anext(tokens)
        following = asyncio.create_task(anext(tokens))
        await asyncio.sleep(0)
        await fake.stop()
        await broker.close()

        with pytest.raises(BrokerClosed):
            await following


async def test_a_cancelled_reader_is_cancelled(fake: FakeBroker, broker: Broker):
    tokens = broker.watch_access_token("crm", corp="ww1")
    await anext(tokens)
    following = asyncio.create_task(anext(tokens))
    await asyncio.sleep(0)
    following.cancel()

    with pytest.raises(asyncio.CancelledError):
        await following
    await fake.until(lambda: fake.open_streams == 0)


async def test_a_bearer_token_that_fails_for_a_while_does_not_end_a_watch(fake: FakeBroker):
    answers = iter(["first", OSError("the file is being replaced"), "second"])

    def bearer() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with (
        Broker(fake.address, token=bearer) as broker,
        aclosing(broker.watch_access_token("crm")) as tokens,
    ):
        await anext(tokens)
        following = asyncio.create_task(anext(tokens))
        fake.end_streams()
        await fake.until(lambda: fake.calls["WatchAccessToken"] == 2)
        fake.rotate("crm")
        assert 2 == (await following).generation
    assert {"Bearer first", "Bearer second"} == fake.authorizations


class TestBackoff:
    def test_delays_double_up_to_the_longest(self):
        backoff = Backoff(first=timedelta(seconds=1), longest=timedelta(seconds=5), randomness=lambda: 1.0)

        assert [1, 2, 4, 5, 5] == [backoff.delay().total_seconds() for _ in range(5)]

    def test_chance_decides_how_much_of_a_delay_is_waited(self):
        backoff = Backoff(first=timedelta(seconds=1), randomness=lambda: 0.25)

        assert 0.25 == backoff.delay().total_seconds()

    def test_what_lived_long_starts_over(self):
        backoff = Backoff(first=timedelta(seconds=1), longest=timedelta(seconds=5), randomness=lambda: 1.0)
        backoff.delay()
        backoff.delay()

        assert 1 == backoff.delay(lived=timedelta(seconds=6)).total_seconds()

    def test_a_wish_to_wait_is_added(self):
        backoff = Backoff(first=timedelta(seconds=1), randomness=lambda: 0.5)

        assert 30.5 == backoff.delay(at_least=timedelta(seconds=30)).total_seconds()
