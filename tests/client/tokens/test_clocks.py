"""Tokens live as long as the broker says, whatever the clock of this machine shows."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from wecom_broker._tokens.lifetimes import Lifetimes
from wecom_broker.v1.token_service_pb2 import AccessToken
from wecom_broker.v1.token_service_pb2 import GetAccessTokenResponse as Answer

if TYPE_CHECKING:
    from wecom_broker import Broker

    from tests.client.conftest import HandClock
    from tests.client.fake_broker import FakeBroker

NOW = 1_795_388_950.25
SKEWS = [timedelta(hours=hours) for hours in (-24 * 365, -24, -3, -1.9, 1.9, 3, 24, 24 * 365)]


@pytest.mark.parametrize("ahead", SKEWS, ids=str)
class TestAnyClock:
    async def test_memory_serves(self, fake: FakeBroker, broker: Broker, clock: HandClock, ahead: timedelta):
        clock.advance(ahead.total_seconds())
        token = await broker.access_token("crm")

        assert token is await broker.access_token("crm")
        assert token is await broker.access_token("crm", min_ttl=timedelta(minutes=110))
        assert token is broker.held_token("crm")
        assert 1 == fake.calls.total()

    async def test_a_token_is_not_served_beyond_its_life(
        self, fake: FakeBroker, broker: Broker, clock: HandClock, ahead: timedelta
    ):
        fake.clock_ahead = ahead
        await broker.access_token("crm")
        clock.advance(timedelta(minutes=119).total_seconds())
        assert broker.held_token("crm") is not None

        clock.advance(timedelta(minutes=1).total_seconds())
        assert broker.held_token("crm") is None

    async def test_memory_serves_beside_a_broker_with_another_clock(
        self, fake: FakeBroker, broker: Broker, ahead: timedelta
    ):
        fake.clock_ahead = ahead
        token = await broker.access_token("crm")
        renewed = await broker.rejected(token, 40014)

        assert 2 == renewed.generation
        assert renewed is await broker.access_token("crm")
        assert {"WatchAccessToken": 1, "ReportInvalidToken": 1} == fake.calls


class TestWarning:
    async def test_a_token_that_seems_to_have_ended_is_warned_of_once(
        self, fake: FakeBroker, broker: Broker, caplog: pytest.LogCaptureFixture
    ):
        fake.clock_ahead = -timedelta(hours=5)
        for corp in ("ww1", "ww2"):
            await broker.access_token("crm", corp)

        [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "3:00:00 after its end: set the clock" in record.getMessage()

    async def test_a_right_clock_is_not_warned_of(
        self, fake: FakeBroker, broker: Broker, caplog: pytest.LogCaptureFixture
    ):
        await broker.access_token("crm")

        assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


class TestBrokersOfBefore:
    """Those that do not say how long a token has left."""

    async def test_the_end_is_compared_with_the_machine_s_clock(self, fake: FakeBroker, broker: Broker):
        fake.says_ttl = False
        token = await broker.access_token("crm")

        assert token is await broker.access_token("crm", min_ttl=timedelta(minutes=110))
        assert 1 == fake.calls.total()

    def test_a_slow_or_fast_clock_moves_the_end(self):
        lifetimes = Lifetimes(lambda: 100.0, lambda: NOW)
        token = AccessToken(expire_time=datetime.fromtimestamp(NOW + 7200, UTC))

        assert 7300 == pytest.approx(lifetimes.end_of(Answer(token=token)))
        assert 150 == lifetimes.end_of(Answer(token=token, ttl=timedelta(seconds=50)))
