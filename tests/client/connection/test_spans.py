"""Spans of time: a timedelta, or seconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from wecom_broker import Broker, sync
from wecom_broker.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import InThreads
    from tests.client.fake_broker import FakeBroker

NONSENSE = [
    ("3", TypeError, "must be a timedelta or a number of seconds, not str"),
    (True, TypeError, "must be a timedelta or a number of seconds, not bool"),
    (math.nan, ValueError, "must be a finite number of seconds"),
    (math.inf, ValueError, "must be a finite number of seconds"),
]
NOT_POSITIVE = [
    (0, ValueError, "must be greater than zero"),
    (-1.5, ValueError, "must be greater than zero"),
    (timedelta(0), ValueError, "must be greater than zero"),
]
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "call": lambda broker, span: broker.call("crm", "/cgi-bin/user/get", timeout=span),
    "upload_media": lambda broker, span: broker.upload_media("crm", "file", "a", b"text", timeout=span),
}


@pytest.mark.parametrize("client", [Broker, sync.Broker])
@pytest.mark.parametrize("name", ["timeout", "idle_after"])
@pytest.mark.parametrize(("given", "error", "message"), NONSENSE + NOT_POSITIVE)
def test_a_client_says_what_is_wrong_with_a_span(
    client: type, name: str, given: object, error: type[Exception], message: str
):
    with pytest.raises(error, match=f"{name} {message}"):
        client("somewhere:1", **{name: given})


@pytest.mark.parametrize("span", [timedelta(milliseconds=50), 0.05])
async def test_seconds_do_for_a_client(fake: FakeBroker, span: timedelta | float):
    fake.hold()
    async with Broker(fake.address, timeout=span, idle_after=3) as broker:
        with pytest.raises(DeadlineExceeded):
            await broker.access_token("crm")
        fake.release()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("span", [timedelta(milliseconds=50), 0.05])
async def test_seconds_do_for_a_call(
    fake: FakeBroker, either: Broker | InThreads, name: str, span: timedelta | float
):
    fake.hold()
    with pytest.raises(DeadlineExceeded):
        await CALLS[name](either, span)
    fake.release()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("given", "error", "message"), NONSENSE + NOT_POSITIVE)
async def test_a_call_says_what_is_wrong_with_a_span(
    fake: FakeBroker,
    either: Broker | InThreads,
    name: str,
    given: object,
    error: type[Exception],
    message: str,
):
    with pytest.raises(error, match=f"timeout {message}"):
        await CALLS[name](either, given)
    assert 0 == fake.calls.total()


async def test_seconds_do_for_min_ttl(fake: FakeBroker, either: Broker | InThreads):
    await either.access_token("crm", min_ttl=3600)
    await either.access_token("crm", min_ttl=3600.5)
    assert {"WatchAccessToken": 1} == fake.calls

    fake.lifetime = timedelta(hours=4)
    await either.access_token("crm", min_ttl=3 * 3600)
    assert timedelta(hours=3) == fake.requests[-1].min_ttl.ToTimedelta()


@pytest.mark.parametrize(("given", "error", "message"), NONSENSE)
async def test_min_ttl_says_what_is_wrong(
    fake: FakeBroker, either: Broker | InThreads, given: object, error: type[Exception], message: str
):
    for _ in range(2):
        with pytest.raises(error, match=f"min_ttl {message}"):
            await either.access_token("crm", min_ttl=given)
        await either.access_token("crm")


async def test_seconds_do_for_ack_timeout(fake: FakeBroker, broker: Broker):
    fake.come(1)
    async with broker.events("g", ack_timeout=2.5) as events:
        await anext(events)

    assert timedelta(seconds=2.5) == fake.requests[0].ack_timeout.ToTimedelta()
