"""The memory of tokens in moments that a broker cannot be made to wait in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from wecom_broker import Target
from wecom_broker._tokens.lifetimes import Lifetimes
from wecom_broker._tokens.memory import TokenMemory
from wecom_broker.errors import BrokerUnreachable
from wecom_broker.v1 import token_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.client.conftest import HandClock

CRM = Target("crm")


def answer(generation: int) -> pb.ReportInvalidTokenResponse:
    return pb.ReportInvalidTokenResponse(
        token=pb.AccessToken(corp_id="ww1", generation=generation), ttl=Duration(seconds=7200)
    )


async def test_a_report_replaces_the_token_without_a_watch_also_while_one_opens(clock: HandClock):
    failing = asyncio.Event()

    async def fail(_: Target) -> AsyncGenerator[pb.WatchAccessTokenResponse]:
        await failing.wait()
        raise BrokerUnreachable("BROKER_UNREACHABLE", "no answer")
        yield

    memory = TokenMemory(fail, idle_after=timedelta(hours=1), lifetimes=Lifetimes(clock))
    memory.unwatched.begin()
    dead = memory.offer(answer(1), CRM)
    clock.advance(61)
    watch = memory.watch(CRM)
    memory.offer(answer(2), CRM, refused=dead)
    failing.set()
    with pytest.raises(BrokerUnreachable):
        await watch.opened()
    await asyncio.sleep(0)

    assert 2 == memory.unexpired(CRM).generation
    await memory.close()
