"""Events, and when they are acknowledged."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from wecom_broker import Broker, Event, ShareKind
from wecom_broker.errors import (
    BrokerClosed,
    BrokerUnreachable,
    CallerNotAllowed,
    DeadlineExceeded,
    UnknownApp,
)

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_events import CREATED, RECEIVED, event_message
from tests.client.waiting import until

DOWN = Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


def tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


def number(event: Event) -> int:
    return int(event.event_id[4:17])


async def handle(broker: Broker, *, until_number: int, group: str = "g") -> list[int]:
    """Handle events up to one, which the loop is left with."""
    seen = []
    async for event in broker.events(group):
        seen.append(number(event))
        if seen[-1] == until_number:
            break
    return seen


class TestAcknowledging:
    async def test_asking_for_the_next_event_acknowledges_the_one_before(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1, 2, 3)
        async with broker.events(group="g") as events:
            assert [1, 2] == [number(await anext(events)) for _ in range(2)]
            await fake.until(lambda: fake.acknowledged("g") == [1])
            await anext(events)
            await fake.until(lambda: fake.acknowledged("g") == [1, 2])

        assert [1, 2] == fake.acknowledged("g")

    async def test_the_last_event_is_acknowledged_while_the_next_is_waited_for(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1)
        async with broker.events("g") as events:
            await anext(events)
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.acknowledged("g") == [1])
            fake.come(2)
            assert 2 == number(await following)

    async def test_continue_is_a_normal_end(self, fake: FakeBroker, broker: Broker):
        fake.come(1, 2)
        async for event in broker.events("g"):
            if number(event) == 1:
                continue
            break

        await fake.until(lambda: fake.acknowledged("g") == [1])

    async def test_an_event_left_by_break_comes_again(self, fake: FakeBroker, broker: Broker):
        fake.come(1, 2, 3)

        assert [1, 2] == await handle(broker, until_number=2)
        await fake.until(lambda: fake.open_subscriptions == 0)
        assert [2, 3] == await handle(broker, until_number=3)
        await fake.until(lambda: fake.acknowledged("g") == [1, 2])

    async def test_an_event_left_by_an_exception_comes_again_and_counts_its_tries(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1)

        async def work() -> None:
            async for _ in broker.events("g"):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await work()
        await fake.until(lambda: fake.open_subscriptions == 0)

        async with broker.events("g") as events:
            assert 2 == (await anext(events)).delivery_count
        assert [] == fake.acknowledged("g")

    async def test_an_event_left_by_a_cancellation_comes_again(self, fake: FakeBroker, broker: Broker):
        fake.come(1)
        handling = asyncio.Event()

        async def work() -> None:
            async for _ in broker.events("g"):
                handling.set()
                await asyncio.Event().wait()

        worker = asyncio.create_task(work())
        await handling.wait()
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
        await fake.until(lambda: fake.open_subscriptions == 0)
        del worker

        assert [1] == await handle(broker, until_number=1)
        assert [] == fake.acknowledged("g")

    async def test_a_new_loop_over_the_same_stream_does_not_acknowledge_what_the_old_was_left_with(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1, 2)
        seen: list[int] = []
        async with broker.events("g") as events:
            while len(seen) < 3:
                try:
                    async for event in events:
                        seen.append(number(event))
                        if len(seen) != 2:
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    pass

        assert [1, 1, 2] == seen
        assert [1] == fake.acknowledged("g")

    async def test_a_handled_event_can_be_acknowledged_before_the_loop_is_left(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1, 2)
        async for event in broker.events("g"):
            assert 1 == await broker.acknowledge_events("g", [event])
            break

        assert [2] == await handle(broker, until_number=2)
        assert [1] == fake.acknowledged("g")

    async def test_acknowledgements_share_calls_while_one_is_under_way(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(*range(1, 51))
        async with broker.events("g") as events:
            await anext(events)
            fake.hold()
            for _ in range(49):
                await anext(events)
            fake.release()
            await fake.until(lambda: len(fake.acknowledged("g")) == 49)

        assert [*range(1, 50)] == fake.acknowledged("g")
        assert fake.calls["AcknowledgeEvents"] <= 3

    async def test_who_is_too_far_ahead_of_the_broker_waits(self, fake: FakeBroker, broker: Broker):
        fake.come(*range(1, 301))
        seen: list[int] = []

        async def work() -> None:
            async for event in broker.events("g", max_in_flight=1000):
                seen.append(number(event))
                if len(seen) == 1:
                    fake.hold()

        worker = asyncio.create_task(work())
        await until(lambda: len(seen) == 100)
        for _ in range(50):
            await asyncio.sleep(0)
        assert 100 == len(seen)
        fake.release()
        await until(lambda: len(seen) == 300)
        worker.cancel()
        await asyncio.wait([worker])

    async def test_leaving_waits_for_the_last_acknowledgements(self, fake: FakeBroker, broker: Broker):
        fake.come(*range(1, 31))
        async with broker.events("g") as events:
            for _ in range(30):
                await anext(events)

        assert [*range(1, 30)] == fake.acknowledged("g")
        await fake.until(lambda: fake.open_subscriptions == 0)


class TestTroubleWithAcknowledging:
    async def test_what_fails_is_told_again_with_what_has_come_since(self, fake: FakeBroker, broker: Broker):
        fake.come(1, 2, 3)
        fake.refusals["AcknowledgeEvents"] = DOWN
        async with broker.events("g") as events:
            for _ in range(3):
                await anext(events)
            await fake.until(lambda: fake.calls["AcknowledgeEvents"] >= 3)
            assert [] == fake.acknowledged("g")
            del fake.refusals["AcknowledgeEvents"]
            await fake.until(lambda: sorted(fake.acknowledged("g")) == [1, 2])

    async def test_a_handled_event_that_comes_again_before_it_could_be_acknowledged_is_not_handled_twice(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.come(1, 2)
        fake.refusals["AcknowledgeEvents"] = DOWN
        async with broker.events("g", max_in_flight=1000) as events:
            assert [1, 2] == [number(await anext(events)) for _ in range(2)]
            fake.group("g").holders.clear()  # as after ack_timeout
            fake.come(3)
            await fake.until(lambda: fake.sent[event_message(1).event_id] == 2)
            del fake.refusals["AcknowledgeEvents"]
            assert 3 == number(await anext(events))
            await fake.until(lambda: {1, 2} == set(fake.acknowledged("g")))

    async def test_a_definitive_refusal_ends_the_loop(self, fake: FakeBroker, broker: Broker):
        fake.come(1, 2, 3)
        fake.refusals["AcknowledgeEvents"] = Refusal(grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
        async with broker.events("g") as events:
            await anext(events)
            await anext(events)
            await until(lambda: "wecom_broker acknowledgements" not in tasks())

            with pytest.raises(CallerNotAllowed):
                await anext(events)

    async def test_the_last_try_is_bounded_and_what_is_left_is_logged(
        self, fake: FakeBroker, broker: Broker, caplog: pytest.LogCaptureFixture
    ):
        fake.come(1, 2)
        fake.refusals["AcknowledgeEvents"] = Refusal(
            grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_after=timedelta(hours=1)
        )
        async with asyncio.timeout(5), broker.events("g") as events:
            await anext(events)
            await anext(events)

        assert ["1 handled events will come again"] == [
            record.message.partition(":")[0] for record in caplog.records if record.levelname == "WARNING"
        ]


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
        async with broker.events("g") as events:
            await anext(events)
            await fake.stop()
            await fake.start()
            fake.requests.clear()
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: len(fake.requests) == 2)
            fake.come(2)
            await following

        assert ["AcknowledgeEventsRequest", "SubscribeEventsRequest"] == [
            type(request).__name__ for request in fake.requests[:2]
        ]
        assert 1 == fake.sent[event_message(1).event_id]

    async def test_a_silent_stream_is_open(self, fake: FakeBroker):
        async with (
            Broker(fake.address, timeout=timedelta(milliseconds=200)) as broker,
            broker.events("g") as events,
        ):
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.open_subscriptions == 1)
            await asyncio.sleep(0.5)  # longer than the deadline of what is not open
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
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.open_subscriptions == 1)
            await fake.stop()
            await fake.start()
            await fake.until(lambda: fake.open_subscriptions == 1)
            fake.come(1)
            await following

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


class TestMembers:
    async def test_two_members_of_a_group_share_its_events(self, fake: FakeBroker, broker: Broker):
        seen: list[list[int]] = [[], []]

        async def work(mine: list[int]) -> None:
            async for event in broker.events("g", max_in_flight=2):
                mine.append(number(event))
                await asyncio.sleep(0)

        workers = [asyncio.create_task(work(mine)) for mine in seen]
        await fake.until(lambda: fake.open_subscriptions == 2)
        fake.come(*range(1, 41))
        await fake.until(lambda: len(fake.acknowledged("g")) == 40)
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)

        assert all(seen)
        assert [*range(1, 41)] == sorted(seen[0] + seen[1])

    async def test_who_only_looks_on_acknowledges_nothing(self, fake: FakeBroker, broker: Broker):
        fake.come(1)
        async with broker.events(group="") as events:
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.open_subscriptions == 1)
            fake.come(2, 3)
            assert [2, 3] == [number(await following), number(await anext(events))]

        assert 0 == fake.calls["AcknowledgeEvents"]

    async def test_a_slow_reader_is_sent_no_more_than_fits_on_the_way(self, fake: FakeBroker, broker: Broker):
        async with broker.events(group="") as events:
            following = asyncio.create_task(anext(events))
            await fake.until(lambda: fake.open_subscriptions == 1)
            fake.events += [event_message(each, xml="x" * 100_000) for each in range(1, 1001)]
            fake.come(1001)
            await following
            sent = 0
            while sent < fake.sent.total():
                sent = fake.sent.total()
                await asyncio.sleep(0.2)

        assert sent < 500


class TestRequests:
    async def test_what_is_wanted_is_asked_for(self, fake: FakeBroker, broker: Broker):
        fake.come(1)
        since = datetime(2026, 11, 1, tzinfo=UTC)
        await anext(
            broker.events(
                "g",
                apps=["crm", "market"],
                event_types=("text",),
                replay_from=since,
                max_in_flight=5,
                ack_timeout=timedelta(seconds=1.5),
            )
        )
        asked = fake.requests[0]

        assert ("g", ["crm", "market"], ["text"], 5) == (
            asked.group,
            asked.apps,
            asked.event_types,
            asked.max_in_flight,
        )
        assert since == asked.replay_from_time.ToDatetime(UTC)
        assert timedelta(seconds=1.5) == asked.ack_timeout.ToTimedelta()

    def test_a_time_without_a_zone_is_refused(self):
        with pytest.raises(ValueError, match="time zone"):
            Broker("somewhere:1").events("g", replay_from=datetime(2026, 1, 1))  # noqa: DTZ001

    @pytest.mark.parametrize("name", ["apps", "event_types"])
    def test_one_word_is_not_taken_for_a_list_of_letters(self, name: str):
        with pytest.raises(TypeError, match=name):
            Broker("somewhere:1").events("g", **{name: "crm"})

    async def test_an_event_is_what_the_broker_says(self, fake: FakeBroker, broker: Broker):
        fake.events = [event_message(1, change_type="c", corp_unknown=True)]
        event = await anext(broker.events("g"))

        assert event == Event(
            event_id="crm:0000000000001-000000",
            app="crm",
            corp_id="ww1",
            share_kind=ShareKind.CORP_GROUP,
            agent_id=7,
            user_id="zhang",
            event_type="text",
            change_type="c",
            create_time=CREATED,
            receive_time=RECEIVED,
            fields={"Content": "private"},
            xml="<xml>private</xml>",
            corp_unknown=True,
            delivery_count=1,
        )
        assert 1 == len({event, event})
        assert event == pickle.loads(pickle.dumps(event))

    def test_an_event_does_not_show_what_people_wrote(self):
        event = Event.from_proto(event_message(1))

        assert "private" not in f"{event!r} {event}"
        assert "crm:0000000000001-000000" in repr(event)

    def test_a_kind_from_the_future_is_none(self):
        assert Event.from_proto(event_message(1, share_kind=99)).share_kind is None


class TestDeadEvents:
    async def test_all_pages_are_listed(self, fake: FakeBroker, broker: Broker):
        fake.dead = {message.event_id: message for message in map(event_message, range(1, 6))}

        assert [1, 2, 3, 4, 5] == [number(event) async for event in broker.dead_events("g", "crm")]
        assert 3 == fake.calls["ListDeadEvents"]

    async def test_they_are_retried_by_event_or_id(self, fake: FakeBroker, either: Broker):
        fake.dead = {message.event_id: message for message in map(event_message, range(1, 4))}
        first = Event.from_proto(event_message(1))

        assert 2 == await either.retry_dead_events("g", [first, event_message(2).event_id, "crm:9-9"])

    async def test_more_than_a_call_takes_are_several_calls(self, fake: FakeBroker, broker: Broker):
        ids = [event_message(each).event_id for each in range(2500)]

        assert 2500 == await broker.acknowledge_events("g", ids)
        assert [1000, 1000, 500] == [len(request.event_ids) for request in fake.requests]

    async def test_one_id_is_not_taken_for_a_list_of_letters(self, broker: Broker):
        with pytest.raises(TypeError):
            await broker.acknowledge_events("g", "crm:1-1")
