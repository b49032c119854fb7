"""Events, and when they are acknowledged."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from wecom_broker import Broker, Event, ShareKind
from wecom_broker.errors import (
    CallerNotAllowed,
)

from tests.client.fake_broker import PATIENCE, FakeBroker, Refusal
from tests.client.fake_events import CREATED, RECEIVED, event_message, number
from tests.client.waiting import tasks, until

DOWN = Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


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
        caplog.set_level("WARNING", "wecom_broker")  # whatever a command of another test has set
        fake.come(1, 2)
        fake.refusals["AcknowledgeEvents"] = Refusal(
            grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_after=timedelta(hours=1)
        )
        async with asyncio.timeout(PATIENCE), broker.events("g") as events:
            await anext(events)
            await anext(events)

        assert fake.calls["AcknowledgeEvents"] in (3, 6)  # of which gRPC makes three each time
        assert ["1 handled events will come again"] == [
            record.message.partition(":")[0] for record in caplog.records if record.levelname == "WARNING"
        ]


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
