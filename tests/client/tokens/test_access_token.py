"""Tokens from memory, by the rules of `_tokens.memory` and `_connection.streams` in the client."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from wecom_broker import Broker, ShareKind
from wecom_broker.errors import (
    AppNotShared,
    BrokerClosed,
    BrokerUnreachable,
    CallerLimited,
    CallerNotAllowed,
    DeadlineExceeded,
    UnknownApp,
)

from tests.client.fake_broker import PATIENCE, FakeBroker, Refusal
from tests.client.waiting import until

if TYPE_CHECKING:
    from tests.client.conftest import HandClock

DAY = 24 * 3600
LIMITED = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMITED", retry_after=timedelta(seconds=1))
NOT_SHARED = Refusal(grpc.StatusCode.NOT_FOUND, "APP_NOT_SHARED")


async def generation_is(broker: Broker, generation: int, app: str = "crm", corp: str = "ww1") -> None:
    """Wait until memory holds that generation."""
    await until(lambda: (held := broker.held_token(app, corp)) is not None and held.generation == generation)


class TestMemory:
    async def test_the_first_call_watches_and_returns_the_token(self, fake: FakeBroker, broker: Broker):
        token = await broker.access_token("crm", corp="ww1")

        assert ("secret-crm-ww1-1", "ww1", 1000002, 1) == (
            token.value,
            token.corp_id,
            token.agent_id,
            token.generation,
        )
        assert ("crm", "ww1", None, 0) == token.target
        assert token.expire_time.tzinfo is not None
        assert {"WatchAccessToken": 1} == fake.calls

    async def test_a_warm_read_makes_no_call(self, fake: FakeBroker, broker: Broker):
        first = await broker.access_token("crm", corp="ww1")
        await fake.stop()

        for _ in range(1000):
            assert first is await broker.access_token("crm", corp="ww1")
        assert 1 == fake.calls.total()

    async def test_a_warm_read_does_not_even_yield_to_the_loop(self, broker: Broker):
        await broker.access_token("crm", corp="ww1")

        with pytest.raises(StopIteration):
            broker.access_token("crm", corp="ww1").send(None)

    async def test_concurrent_first_callers_share_one_watch(self, fake: FakeBroker, broker: Broker):
        fake.hold()
        callers = [asyncio.create_task(broker.access_token("crm", corp="ww1")) for _ in range(50)]
        await fake.until(lambda: fake.calls["WatchAccessToken"] == 1)
        fake.release()

        assert 1 == len({id(token) for token in await asyncio.gather(*callers)})
        assert {"WatchAccessToken": 1} == fake.calls

    async def test_a_cancelled_first_caller_does_not_disturb_the_others(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.hold()
        first = asyncio.create_task(broker.access_token("crm", corp="ww1"))
        await fake.until(lambda: fake.calls["WatchAccessToken"] == 1)
        second = asyncio.create_task(broker.access_token("crm", corp="ww1"))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        fake.release()

        assert 1 == (await second).generation
        assert {"WatchAccessToken": 1} == fake.calls

    async def test_each_target_has_its_own_watch(self, fake: FakeBroker, broker: Broker):
        await broker.access_token("crm")
        await broker.access_token("crm", corp="ww1")
        await broker.access_token("crm", corp="ww1", share_kind=ShareKind.SUPPLY_CHAIN)
        await broker.access_token("crm", corp="ww1", share_kind="supply_chain")
        await broker.access_token("crm", corp="ww1", agent_id=5)

        assert {"WatchAccessToken": 4} == fake.calls
        assert [(0, 0), (0, 0), (2, 0), (0, 5)] == [
            (request.target.share_kind, request.target.agent_id) for request in fake.requests
        ]

    async def test_a_rotation_is_seen(self, fake: FakeBroker, broker: Broker):
        await broker.access_token("crm", corp="ww1")
        fake.rotate("crm", "ww1")

        await generation_is(broker, 2)
        assert "secret-crm-ww1-2" == (await broker.access_token("crm", corp="ww1")).value
        assert 1 == fake.calls.total()

    async def test_an_older_generation_never_replaces_a_valid_newer_one(
        self, fake: FakeBroker, broker: Broker
    ):
        await broker.access_token("crm", corp="ww1")
        fake.rotate("crm", "ww1", generation=7)
        await generation_is(broker, 7)
        fake.rotate("crm", "ww1", generation=3)
        fake.rotate("crm", "ww1", generation=8)

        await generation_is(broker, 8)
        fake.rotate("crm", "ww1", generation=3)
        assert 8 == (await broker.access_token("crm", "ww1", min_ttl=timedelta(hours=3))).generation

    async def test_an_app_that_is_set_back_to_its_former_agent_id_has_its_former_token_again(
        self, fake: FakeBroker, broker: Broker
    ):
        await broker.access_token("crm", corp="ww1")
        fake.rotate("crm", "ww1", generation=7)
        await generation_is(broker, 7)
        fake.agent_id = 1000001
        fake.rotate("crm", "ww1", generation=3)

        await generation_is(broker, 3)
        assert 1000001 == (await broker.access_token("crm", corp="ww1")).agent_id

    async def test_so_has_it_without_a_watch(self, fake: FakeBroker, broker: Broker):
        fake.refusals["WatchAccessToken"] = LIMITED
        fake.rotate("crm", "ww1", generation=7)
        await broker.access_token("crm", corp="ww1")
        fake.agent_id = 1000001
        fake.rotate("crm", "ww1", generation=3)

        assert 3 == (await broker.access_token("crm", "ww1", min_ttl=timedelta(hours=3))).generation
        assert 3 == (await broker.access_token("crm", corp="ww1")).generation

    async def test_whoever_watches_sees_the_token_of_a_former_agent_id_again(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.rotate("crm", "ww1", generation=7)
        async with aclosing(broker.watch_access_token("crm", "ww1")) as tokens:
            assert 7 == (await anext(tokens)).generation
            fake.agent_id = 1000001
            fake.rotate("crm", "ww1", generation=3)
            fake.rotate("crm", "ww1", generation=2)
            fake.rotate("crm", "ww1", generation=4)
            async with asyncio.timeout(PATIENCE):
                assert [3, 4] == [(await anext(tokens)).generation, (await anext(tokens)).generation]

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"app": ""}, ValueError),
            ({"app": 5}, TypeError),
            ({"app": "crm", "corp": None}, TypeError),
            ({"app": "crm", "agent_id": "5"}, TypeError),
            ({"app": "crm", "share_kind": "both"}, ValueError),
        ],
    )
    async def test_nonsense_is_refused_without_a_call(
        self, fake: FakeBroker, broker: Broker, arguments: dict, error: type[Exception]
    ):
        with pytest.raises(error):
            await broker.access_token(**arguments)
        assert 0 == fake.calls.total()


class TestMinTtl:
    async def test_enough_life_left_is_served_from_memory(self, fake: FakeBroker, broker: Broker):
        await broker.access_token("crm", "ww1")
        await broker.access_token("crm", "ww1", min_ttl=timedelta(hours=1))

        assert {"WatchAccessToken": 1} == fake.calls

    async def test_too_little_life_left_asks_the_broker_once_for_all(self, fake: FakeBroker, broker: Broker):
        await broker.access_token("crm", "ww1")
        fake.lifetime = timedelta(hours=4)
        fake.hold()
        wish = timedelta(hours=3)
        callers = [asyncio.create_task(broker.access_token("crm", "ww1", min_ttl=wish)) for _ in range(20)]
        await fake.until(lambda: fake.calls["GetAccessToken"] == 1)
        fake.release()

        assert 1 == len({token.expire_time for token in await asyncio.gather(*callers)})
        assert wish == fake.requests[-1].min_ttl.ToTimedelta()
        await broker.access_token("crm", "ww1", min_ttl=wish)
        assert {"WatchAccessToken": 1, "GetAccessToken": 1} == fake.calls

    async def test_what_is_valid_is_served_if_the_broker_is_down(self, fake: FakeBroker, broker: Broker):
        token = await broker.access_token("crm", "ww1")
        await fake.stop()

        assert token is await broker.access_token("crm", "ww1", min_ttl=timedelta(hours=3))

    @pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
    async def test_what_is_valid_is_served_if_the_call_meets_a_limit(
        self, fake: FakeBroker, broker: Broker, *, watched: bool
    ):
        if not watched:
            fake.refusals["WatchAccessToken"] = LIMITED
        token = await broker.access_token("crm", "ww1")
        fake.refusals["GetAccessToken"] = LIMITED

        assert token is await broker.access_token("crm", "ww1", min_ttl=timedelta(hours=3))


class TestBreaks:
    async def test_a_restarted_broker_is_watched_again(self, fake: FakeBroker, broker: Broker):
        await broker.access_token("crm", "ww1")
        await fake.stop()
        fake.rotate("crm", "ww1")
        await fake.start()

        await generation_is(broker, 2)
        fake.rotate("crm", "ww1")
        await generation_is(broker, 3)
        assert 0 == fake.calls["GetAccessToken"]

    @pytest.mark.parametrize(
        "end",
        [
            Refusal(grpc.StatusCode.UNAVAILABLE),
            Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_after=timedelta(milliseconds=1)),
            Refusal(grpc.StatusCode.FAILED_PRECONDITION, "SECRET_REJECTED"),
            Refusal(grpc.StatusCode.INTERNAL),
        ],
    )
    async def test_a_broken_watch_is_opened_again_and_the_token_served_meanwhile(
        self, fake: FakeBroker, broker: Broker, end: Refusal
    ):
        token = await broker.access_token("crm", "ww1")
        fake.end_streams(end)
        await fake.until(lambda: fake.open_streams == 0)
        assert token is await broker.access_token("crm", "ww1")

        await fake.until(lambda: fake.open_streams == 1)
        fake.rotate("crm", "ww1")
        await generation_is(broker, 2)

    async def test_a_valid_token_is_served_while_the_broker_is_down(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        token = await broker.access_token("crm", "ww1")
        await fake.stop()
        clock.advance(3600)

        assert token is await broker.access_token("crm", "ww1")

    async def test_an_expired_token_and_no_broker_is_an_error(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        await broker.access_token("crm", "ww1")
        await fake.stop()
        clock.advance(DAY)

        with pytest.raises(BrokerUnreachable):
            await broker.access_token("crm", "ww1")

    async def test_an_expired_token_is_fetched_by_a_call(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        await broker.access_token("crm", "ww1")
        clock.advance(DAY)
        fake.lifetime = timedelta(days=2)

        await broker.access_token("crm", "ww1")
        await broker.access_token("crm", "ww1")
        assert 1 == fake.calls["GetAccessToken"]

    async def test_a_definitive_end_is_told_to_the_next_caller(self, fake: FakeBroker, broker: Broker):
        await broker.access_token("crm", "ww1")
        fake.refusals["WatchAccessToken"] = NOT_SHARED
        fake.end_streams(NOT_SHARED)
        await fake.until(lambda: fake.open_streams == 0)

        await until(lambda: broker.held_token("crm", "ww1") is None)
        with pytest.raises(AppNotShared):
            await broker.access_token("crm", "ww1")

    async def test_a_definitive_answer_to_the_second_opening_is_told_too(
        self, fake: FakeBroker, broker: Broker
    ):
        await broker.access_token("crm", "ww1")
        fake.refusals["WatchAccessToken"] = Refusal(grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
        fake.end_streams()

        await until(lambda: broker.held_token("crm", "ww1") is None)
        with pytest.raises(CallerNotAllowed):
            await broker.access_token("crm", "ww1")


class TestFirstOpening:
    async def test_its_error_is_not_remembered(self, fake: FakeBroker, broker: Broker):
        fake.refusals["WatchAccessToken"] = Refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP")
        for _ in range(2):
            with pytest.raises(UnknownApp):
                await broker.access_token("crm")
        fake.refusals.clear()

        assert 1 == (await broker.access_token("crm")).generation
        assert {"WatchAccessToken": 3} == fake.calls

    async def test_all_who_wait_get_the_error(self, fake: FakeBroker, broker: Broker):
        fake.refusals["WatchAccessToken"] = NOT_SHARED
        answers = await asyncio.gather(
            *(broker.access_token("crm", "ww1") for _ in range(5)), return_exceptions=True
        )

        assert [AppNotShared] * 5 == [type(answer) for answer in answers]
        assert 1 == fake.calls.total()

    async def test_no_broker_is_an_error_at_once(self, fake: FakeBroker, broker: Broker):
        await fake.stop()

        with pytest.raises(BrokerUnreachable):
            await broker.access_token("crm")

    async def test_whoever_may_watch_no_more_still_gets_tokens(self, fake: FakeBroker, broker: Broker):
        fake.refusals["WatchAccessToken"] = LIMITED

        for corp in ("ww1", "ww2", "ww1", "ww2"):
            assert f"secret-crm-{corp}-1" == (await broker.access_token("crm", corp=corp)).value
        assert {"WatchAccessToken": 1, "GetAccessToken": 2} == fake.calls

        fake.refusals["GetAccessToken"] = fake.refusals["WatchAccessToken"]
        with pytest.raises(CallerLimited):
            await broker.access_token("crm", corp="ww3")

    async def test_a_minute_later_it_may_watch_again(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        await broker.access_token("crm", corp="ww1")
        fake.rotate("crm", "ww1")
        fake.refusals.clear()
        clock.advance(50)
        assert 1 == (await broker.access_token("crm", corp="ww1")).generation
        clock.advance(10)
        assert 2 == (await broker.access_token("crm", corp="ww1")).generation
        fake.rotate("crm", "ww1")
        await generation_is(broker, 3)
        assert {"WatchAccessToken": 2, "GetAccessToken": 1} == fake.calls

    @pytest.mark.parametrize(
        ("lifetime", "waited", "min_ttl", "calls"),
        [(30, 15, 0, 1), (30, 31, 0, 2), (600, 1, 500, 1), (600, 1, 600, 2)],
    )
    async def test_a_token_without_a_watch_serves_no_longer_than_it_lives(
        self,
        fake: FakeBroker,
        broker: Broker,
        clock: HandClock,
        lifetime: int,
        waited: int,
        min_ttl: int,
        calls: int,
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        fake.lifetime = timedelta(seconds=lifetime)
        await broker.access_token("crm", corp="ww1")
        clock.advance(waited)
        await broker.access_token("crm", corp="ww1", min_ttl=timedelta(seconds=min_ttl))

        assert calls == fake.calls["GetAccessToken"]

    async def test_a_report_of_a_token_without_a_watch_replaces_it(self, fake: FakeBroker, broker: Broker):
        fake.refusals["WatchAccessToken"] = LIMITED
        dead = await broker.access_token("crm", corp="ww1")
        replaced = await broker.rejected(dead, 40014)

        assert (1, 2) == (dead.generation, replaced.generation)
        assert replaced is await broker.access_token("crm", corp="ww1")

    async def test_so_does_one_after_the_broker_has_allowed_watches_again(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        await broker.access_token("crm", corp="ww1")
        clock.advance(50)
        dead = await broker.access_token("crm", corp="ww2")
        clock.advance(20)
        replaced = await broker.rejected(dead, 40014)

        assert (1, 2) == (dead.generation, replaced.generation)
        assert replaced is await broker.access_token("crm", corp="ww2")

    async def test_a_closed_client_has_no_token_without_a_watch_either(
        self, fake: FakeBroker, broker: Broker
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        await broker.access_token("crm", corp="ww1")
        await broker.close()

        assert broker.held_token("crm", "ww1") is None
        with pytest.raises(BrokerClosed):
            await broker.access_token("crm", corp="ww1")

    @pytest.mark.parametrize("tries_no_watch", [False, True])
    async def test_a_token_without_a_watch_outlives_an_outage_of_the_broker(
        self, fake: FakeBroker, broker: Broker, clock: HandClock, *, tries_no_watch: bool
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        token = await broker.access_token("crm", corp="ww1")
        clock.advance(61)
        if tries_no_watch:
            await broker.access_token("crm", corp="ww2")
        await fake.stop()

        assert token is await broker.access_token("crm", corp="ww1")
        clock.advance(7000)
        assert token is await broker.access_token("crm", corp="ww1")
        clock.advance(7200 - 7061)
        with pytest.raises(BrokerUnreachable):
            await broker.access_token("crm", corp="ww1")

    async def test_one_that_was_watched_since_is_not_served_when_the_watch_has_ended(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        await broker.access_token("crm", corp="ww1")
        fake.refusals.clear()
        clock.advance(61)
        await broker.access_token("crm", corp="ww1")
        fake.end_streams(NOT_SHARED)
        await until(lambda: broker.held_token("crm", "ww1") is None)
        await fake.stop()

        with pytest.raises(BrokerUnreachable):
            await broker.access_token("crm", corp="ww1")

    async def test_one_that_the_broker_refuses_for_good_is_not_served_again(
        self, fake: FakeBroker, broker: Broker, clock: HandClock
    ):
        fake.refusals["WatchAccessToken"] = LIMITED
        await broker.access_token("crm", corp="ww1")
        fake.refusals["WatchAccessToken"] = NOT_SHARED
        clock.advance(61)
        with pytest.raises(AppNotShared):
            await broker.access_token("crm", corp="ww1")
        await fake.stop()

        with pytest.raises(BrokerUnreachable):
            await broker.access_token("crm", corp="ww1")

    async def test_a_passing_refusal_is_retried(self, fake: FakeBroker, broker: Broker):
        fake.refusals["WatchAccessToken"] = Refusal(grpc.StatusCode.UNAVAILABLE)
        caller = asyncio.create_task(broker.access_token("crm"))
        await fake.until(lambda: fake.calls["WatchAccessToken"] == 1)
        fake.refusals.clear()

        assert 1 == (await caller).generation

    async def test_a_silent_broker_runs_into_the_deadline(self, fake: FakeBroker):
        fake.hold()
        async with Broker(fake.address, timeout=timedelta(milliseconds=50)) as broker:
            with pytest.raises(DeadlineExceeded):
                await broker.access_token("crm")
            fake.release()

    async def test_closing_meanwhile_tells_those_who_wait(self, fake: FakeBroker, broker: Broker):
        fake.hold()
        callers = [asyncio.create_task(broker.access_token("crm")) for _ in range(3)]
        await fake.until(lambda: fake.calls["WatchAccessToken"] == 1)
        await broker.close()

        for caller in callers:
            with pytest.raises(BrokerClosed):
                await caller
        fake.release()


class TestIdle:
    async def test_a_watch_that_nobody_reads_is_closed_and_can_be_opened_again(self, fake: FakeBroker):
        async with Broker(fake.address, idle_after=timedelta(milliseconds=100)) as broker:
            await broker.access_token("crm", "ww1")
            await fake.until(lambda: fake.open_streams == 0)
            assert broker.held_token("crm", "ww1") is None

            await broker.access_token("crm", "ww1")
            assert {"WatchAccessToken": 2} == fake.calls

    async def test_a_watch_that_is_read_stays(self, fake: FakeBroker):
        now = time.time()
        async with Broker(fake.address, idle_after=timedelta(milliseconds=100), clock=lambda: now) as broker:
            await broker.access_token("crm", "ww1")
            await broker.access_token("crm", "ww2")
            now += 0.09
            await broker.access_token("crm", "ww2")
            now += 0.09
            await fake.until(lambda: fake.open_streams == 1)

            assert broker.held_token("crm", "ww1") is None
            assert broker.held_token("crm", "ww2") is not None
