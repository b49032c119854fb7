"""Subscriptions over breaks, and their end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import grpc
import pytest
from wecom_broker import Broker
from wecom_broker.errors import BrokerClosed, BrokerUnreachable, DeadlineExceeded, UnknownApp

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_events import event_message, number
from tests.client.waiting import tasks

DOWN = Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


class TestBreaks:
    async def test_a_stream_goes_on_over_a_restart_and_an_event_in_hand_is_acknowledged_after_it(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1, 2, 3)
        async with broker.events("g") as events:
            assert 1 == number(await anext(events))
            await fake.stop()
            await fake.start()
            # 2 and 3 may have arrived before the stop, or come now; 1 is not handled twice.
            seen = [number(await anext(events)) for _ in range(2)]
            fake.come(4)
            seen.append(number(await anext(events)))

        assert [2, 3, 4] == seen
        assert {1, 2, 3} == set(fake.acknowledged("g"))

    async def test_a_reader_that_waits_sees_nothing_of_a_restart(self, fake: FakeBroker, broker: Broker):
        fake.come(1)
        async with broker.events("g") as events:
            await anext(events)
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.acknowledged("g") == [1])
            await fake.stop()
            fake.come(2)
            await fake.start()
            assert 2 == number(await following)

    async def test_what_is_handled_is_told_before_the_stream_is_opened_again(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1)
        fake.refusals["AcknowledgeEvents"] = DOWN
        async with broker.events("g") as events:
            await anext(events)
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.calls["AcknowledgeEvents"] > 0)
            await fake.stop()
            await fake.start()
            told = fake.calls["AcknowledgeEvents"]
            await fake.until(lambda: fake.calls["AcknowledgeEvents"] > told + 6)  # which takes two pauses
            assert 1 == fake.calls["SubscribeEvents"]
            del fake.refusals["AcknowledgeEvents"]
            fake.come(2)
            assert 2 == number(await following)

        assert 1 == fake.sent[event_message(1).event_id]

    async def test_a_silent_stream_is_open(self, fake: FakeBroker):
        async with (
            Broker(fake.address, timeout=timedelta(seconds=2)) as broker,
            broker.events("g") as events,
        ):
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.open_subscriptions == 1)
            await asyncio.sleep(2.5)  # longer than the deadline of what is not open
            fake.come(1)

            assert 1 == number(await following)
        assert 1 == fake.calls["SubscribeEvents"]

    async def test_a_stream_that_does_not_open_in_time_raises(self, fake: FakeBroker):
        fake.hold()
        async with Broker(fake.address, timeout=timedelta(milliseconds=50)) as broker:
            with pytest.raises(DeadlineExceeded):
                await anext(broker.events("g"))
        fake.release()

    async def test_a_stream_that_cannot_be_opened_raises(self, fake: FakeBroker, broker: Broker):
        fake.refusals["SubscribeEvents"] = DOWN
        with pytest.raises(Exception, match="STORE_UNAVAILABLE"):
            await anext(broker.events("g"))

        await fake.stop()
        with pytest.raises(BrokerUnreachable):
            await anext(broker.events("g"))

    async def test_a_definitive_end_is_raised_and_a_new_loop_may_be_begun(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.refusals["SubscribeEvents"] = Refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP")
        fake.come(1)
        events = broker.events("g", apps=["nosuch"])
        with pytest.raises(UnknownApp):
            async for _ in events:
                pass

        del fake.refusals["SubscribeEvents"]
        async with events:
            async for event in events:
                assert 1 == number(event)
                break

    async def test_a_replay_is_asked_for_until_the_broker_heard_it_and_never_again(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.refusals["SubscribeEvents"] = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        async with broker.events("g", replay_from="crm:1-1") as events:
            with pytest.raises(Exception, match="RATE_LIMITED"):
                await anext(events)
            del fake.refusals["SubscribeEvents"]
            aiter(events)
            fake.come(1)
            await anext(events)
            await fake.stop()
            await fake.start()
            fake.come(2)
            assert 2 == number(await anext(events))

        asked = [request.replay_from_event_id for request in fake.requests if hasattr(request, "apps")]
        assert ["crm:1-1", "crm:1-1", ""] == asked


class TestTheEnd:
    async def test_closing_the_client_ends_a_loop_that_waits(self, fake: FakeBroker, broker: Broker):
        fake.come(1)
        seen = []

        async def work() -> None:
            async for event in broker.events("g"):
                seen.append(number(event))  # noqa: PERF401  a comprehension would show nothing

        worker = asyncio.create_task(work())
        await fake.until(lambda: fake.acknowledged("g") == [1])
        await broker.close()

        with pytest.raises(BrokerClosed):
            await worker
        assert [1] == seen

    async def test_closing_the_client_acknowledges_what_is_handled_and_not_what_is_in_hand(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1, 2, 3)
        events = broker.events("g")
        for _ in range(3):
            await anext(events)
        await broker.close()

        assert [1, 2] == fake.acknowledged("g")
        with pytest.raises(BrokerClosed):
            await anext(events)
        with pytest.raises(BrokerClosed):
            await anext(aiter(events))

    async def test_closing_leaves_nothing_running(self, fake: FakeBroker):
        fake.come(*range(1, 21))
        async with Broker(fake.address) as broker:
            held = broker.events("g", max_in_flight=1)
            await anext(held)
            for _ in range(3):
                await anext(broker.events("g", max_in_flight=1))
        await fake.until(lambda: fake.open_subscriptions == 0)

        assert not [name for name in tasks() if name.startswith("wecom_broker")]

    async def test_a_closed_stream_is_over(self, fake: FakeBroker, broker: Broker):
        fake.come(1, 2)
        async with aclosing(broker.events("g")) as events:
            await anext(events)
        await fake.until(lambda: fake.open_subscriptions == 0)

        assert [] == [event async for event in events]
        await events.aclose()

    async def test_a_stream_that_was_never_read_asks_nothing(self, fake: FakeBroker, broker: Broker):
        async with broker.events("g"):
            pass
        broker.events("g")

        assert not fake.calls
