"""What the broker makes of a WeCom that is slow, busy, away or out of its mind."""

import asyncio
import gzip
from typing import Any

import pytest

from broker.adapters.wecom.exchange import MOST_BYTES
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, RateLimited, WecomProtocol, WecomUnavailable
from broker.simulator import (
    Delay,
    Errcode,
    Hang,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Truncated,
    World,
)
from broker.simulator.world.faults import Fault
from tests.kit.processes.ports import free_port
from tests.unit.wecom_http.recorders import (
    CHILD_TOKEN,
    GETTOKEN,
    HASTY,
    LIST_SHARES,
    PARENT_CORP,
    PATIENT,
    Surroundings,
    Wecom,
    answering,
    app,
    call,
    parent_with,
    speaking,
)

ENDPOINTS = [GETTOKEN, LIST_SHARES, CHILD_TOKEN]

FAULTS: list[tuple[Fault, type[BrokerError], list[str]]] = [
    (Delay(2), WecomUnavailable, ["timeout"]),
    (Hang(), WecomUnavailable, ["timeout"]),
    (Hang(takes_effect=True), WecomUnavailable, ["timeout"]),
    (Reset(), WecomUnavailable, ["connection"] * 3),
    (Reset(takes_effect=True), WecomUnavailable, ["connection"] * 3),
    (Truncated(), WecomProtocol, ["protocol"]),
    (Junk(JunkKind.HTML), WecomProtocol, ["protocol"]),
    (Junk(JunkKind.INVALID_JSON), WecomProtocol, ["protocol"]),
    (Junk(JunkKind.NOT_AN_OBJECT), WecomProtocol, ["protocol"]),
    (Junk(JunkKind.EMPTY), WecomProtocol, ["protocol"]),
    (HttpStatus(500), WecomUnavailable, ["http_500"] * 3),
    (HttpStatus(502), WecomUnavailable, ["http_502"] * 3),
    (HttpStatus(503), WecomUnavailable, ["http_503"] * 3),
    (HttpStatus(429), RateLimited, ["http_429"]),
    (HttpStatus(404), WecomProtocol, ["protocol"]),
    (HttpStatus(403), WecomProtocol, ["protocol"]),
    (Errcode(-1), WecomUnavailable, ["-1"] * 3),
    (Errcode(45009), RateLimited, ["45009"]),
    (Errcode(6000), WecomUnavailable, ["6000"]),
    (Errcode(424242), WecomProtocol, ["unknown"]),
]


@pytest.mark.parametrize("endpoint", [GETTOKEN, CHILD_TOKEN])
@pytest.mark.parametrize(("fault", "kind", "outcomes"), FAULTS, ids=[str(fault) for fault, _, _ in FAULTS])
async def test_each_fault_is_a_typed_error_that_gate_and_observer_hear_of(
    url: str,
    around: Surroundings,
    parent: Credential,
    world: World,
    endpoint: str,
    fault: Fault,
    kind: type[BrokerError],
    outcomes: list[str],
) -> None:
    world.faults.add(endpoint, fault)
    async with around.wecom(url, HASTY if outcomes == ["timeout"] else PATIENT) as wecom:
        with pytest.raises(kind) as failed:
            await call(wecom, parent, endpoint)

    assert kind.reason == failed.value.reason
    assert endpoint == failed.value.metadata["endpoint"]
    assert outcomes == around.observer.outcomes
    assert [
        ("enter", endpoint, PARENT_CORP, None),
        ("leave", endpoint, PARENT_CORP, failed.value),
    ] == around.gate.told


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "fault", [Delay(0.01), Reset(), HttpStatus(502), Errcode(-1)], ids=["delay", "reset", "502", "-1"]
)
async def test_a_fault_that_passes_is_not_seen(
    wecom: Wecom, parent: Credential, world: World, endpoint: str, fault: Fault
) -> None:
    world.faults.add(endpoint, fault, times=2)

    assert await call(wecom, parent, endpoint)


# --- repeating


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", [Errcode(-1), HttpStatus(500)], ids=["-1", "500"])
async def test_a_busy_wecom_is_called_three_times_in_all(
    wecom: Wecom, parent: Credential, world: World, endpoint: str, fault: Fault
) -> None:
    before = world.log.calls(endpoint)
    world.faults.add(endpoint, fault)

    with pytest.raises(WecomUnavailable):
        await call(wecom, parent, endpoint)

    assert 3 == world.log.calls(endpoint) - before


async def test_each_repeat_waits_longer(wecom: Wecom, around: Surroundings, world: World) -> None:
    world.faults.add(GETTOKEN, Errcode(-1))

    with pytest.raises(WecomUnavailable):
        await wecom.fetch_app_token(app())

    assert [0.1, 0.4] == [pause.total_seconds() for pause in around.clock.slept]


@pytest.mark.parametrize(
    "errcode", [40001, 40013, 40091, 45009, 60020, 50003, 40014, 42001, 40058, 6000, 12345]
)
async def test_no_other_errcode_is_asked_for_twice(wecom: Wecom, world: World, errcode: int) -> None:
    world.faults.add(GETTOKEN, Errcode(errcode))

    with pytest.raises(BrokerError):
        await wecom.fetch_app_token(app())

    assert 1 == world.log.calls(GETTOKEN)


@pytest.mark.parametrize("fault", [Hang(), Truncated(), Junk(), HttpStatus(429)], ids=str)
async def test_what_may_have_reached_wecom_is_not_sent_again_at_once(
    url: str, around: Surroundings, world: World, fault: Fault
) -> None:
    world.faults.add(GETTOKEN, fault)
    async with around.wecom(url, HASTY) as wecom:
        with pytest.raises(BrokerError):
            await wecom.fetch_app_token(app())

    assert 1 == world.log.calls(GETTOKEN)


async def test_the_last_error_of_a_busy_wecom_says_its_errcode(wecom: Wecom, world: World) -> None:
    world.faults.add(GETTOKEN, Errcode(-1))

    with pytest.raises(WecomUnavailable) as failed:
        await wecom.fetch_app_token(app())

    assert "-1" == failed.value.metadata["errcode"]


@pytest.mark.parametrize("endpoint", [GETTOKEN, LIST_SHARES, CHILD_TOKEN])
async def test_a_reset_call_is_sent_again_by_us_and_not_by_aiohttp(
    wecom: Wecom, parent: Credential, around: Surroundings, world: World, endpoint: str
) -> None:
    # wecom-api G26: aiohttp resends a GET by itself, and so would spend a login code twice.
    before = world.log.calls(endpoint)
    world.faults.add(endpoint, Reset(), times=1)

    assert await call(wecom, parent, endpoint)
    assert 2 == world.log.calls(endpoint) - before
    assert ["connection", "0"] == around.observer.outcomes[-2:]


async def test_a_kept_connection_that_wecom_closed_costs_no_error(wecom: Wecom, world: World) -> None:
    await wecom.fetch_app_token(app())
    world.faults.add(GETTOKEN, Reset(), times=1)

    assert await wecom.fetch_app_token(app())


# --- bounds


async def test_nobody_listening_is_wecom_being_unavailable(around: Surroundings) -> None:
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        with pytest.raises(WecomUnavailable) as failed:
            await wecom.fetch_app_token(app())

    assert "ClientConnectorError" == failed.value.metadata["cause"]


async def test_the_timeout_bounds_an_answer_that_never_ends(around: Surroundings) -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
    release = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(endless)
        await release.wait()
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server, around.wecom(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", HASTY) as wecom:
        with pytest.raises(WecomUnavailable, match="in time"):
            await wecom.fetch_app_token(app())
        release.set()


@pytest.mark.parametrize("surplus", [0, 1], ids=["largest", "too large"])
async def test_an_answer_has_four_megabytes_at_most(around: Surroundings, surplus: int) -> None:
    head, tail = b'{"access_token": "the-token", "expires_in": 7200, "x": "', b'"}'
    body = head + b"a" * (MOST_BYTES - len(head) - len(tail) + surplus) + tail
    async with answering(body) as (url, _), around.wecom(url) as wecom:
        if not surplus:
            assert await wecom.fetch_app_token(app(corp_id="ww0"))
            return
        with pytest.raises(WecomProtocol, match="too large"):
            await wecom.fetch_app_token(app(corp_id="ww0"))


def raw(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_refused(around: Surroundings) -> None:
    bomb = raw(gzip.compress(b" " * 20_000_000), **{"Content-Encoding": "gzip"})
    async with speaking(bomb) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol, match="too large"):
            await wecom.fetch_app_token(app(corp_id="ww0"))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed(around: Surroundings, status: str) -> None:
    async with answering({"access_token": "stolen", "expires_in": 7200}) as (elsewhere, asked):
        redirect = raw(status=status, Location=f"{elsewhere}/cgi-bin/gettoken")
        async with speaking(redirect) as (url, _), around.wecom(url) as wecom:
            with pytest.raises(WecomProtocol):
                await wecom.fetch_app_token(app(corp_id="ww0"))

    assert [] == asked


@pytest.mark.parametrize("status", ["301 Moved", "404 Not Found"])
async def test_an_object_without_an_errcode_is_no_success_unless_http_says_so(
    around: Surroundings, status: str
) -> None:
    async with (
        speaking(raw(b'{"access_token": "the-token", "expires_in": 7200}', status)) as (url, _),
        around.wecom(url) as wecom,
    ):
        with pytest.raises(WecomProtocol):
            await wecom.fetch_app_token(app(corp_id="ww0"))


NONSENSE = {
    "silence": b"",
    "noise": b"\x00\x01noise\r\n\r\n",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n{}",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabcde",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "bad gzip": raw(b"abcde", **{"Content-Encoding": "gzip"}),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a bad cookie": raw(b"[]", **{"Set-Cookie": "\xff=;;"}),
    "deep nesting": raw(b"[" * 100_000),
    "half a character": raw(b'"\xff\xfe'),
    "not a number": raw(b"NaN"),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_is_a_typed_error(around: Surroundings, said: bytes) -> None:
    async with speaking(said) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(BrokerError) as failed:
            await wecom.fetch_app_token(app(corp_id="ww0"))

    assert failed.value.reason in ("WECOM_UNAVAILABLE", "WECOM_PROTOCOL")
    assert ("leave", GETTOKEN, "ww0", failed.value) == around.gate.told[-1]


# --- answers that are objects, and wrong

WRONG_GRANTS: list[tuple[str, dict[str, Any]]] = [
    ("no access_token", {"expires_in": 7200}),
    ("empty access_token", {"access_token": "", "expires_in": 7200}),
    ("null access_token", {"access_token": None, "expires_in": 7200}),
    ("access_token as a number", {"access_token": 5, "expires_in": 7200}),
    ("access_token in Chinese", {"access_token": "令牌", "expires_in": 7200}),
    ("access_token with half a character", {"access_token": "\ud800", "expires_in": 7200}),
    ("no expires_in", {"access_token": "the-token"}),
    ("access_token too short", {"access_token": "seven77", "expires_in": 7200}),
    ("access_token of blanks", {"access_token": " " * 20, "expires_in": 7200}),
    ("access_token with a newline", {"access_token": "the-token\n", "expires_in": 7200}),
    ("access_token of 3 MB", {"access_token": "the-token" * 3_000_000, "expires_in": 7200}),
    ("expires_in true", {"access_token": "the-token", "expires_in": True}),
    ("expires_in null", {"access_token": "the-token", "expires_in": None}),
    ("expires_in negative", {"access_token": "the-token", "expires_in": -1}),
    ("expires_in a word", {"access_token": "the-token", "expires_in": "soon"}),
    ("expires_in a list", {"access_token": "the-token", "expires_in": [7200]}),
    ("expires_in a year", {"access_token": "the-token", "expires_in": 365 * 86400}),
    ("expires_in absurd", {"access_token": "the-token", "expires_in": 10**400}),
    ("expires_in infinite", {"access_token": "the-token", "expires_in": float("inf")}),
    ("expires_in not a number", {"access_token": "the-token", "expires_in": float("nan")}),
]


@pytest.mark.parametrize(
    "answer", [answer for _, answer in WRONG_GRANTS], ids=[name for name, _ in WRONG_GRANTS]
)
async def test_a_grant_that_cannot_be_used_is_a_protocol_error(
    around: Surroundings, answer: dict[str, Any]
) -> None:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol) as failed:
            await wecom.fetch_app_token(app(corp_id="ww0"))

    assert {"endpoint": GETTOKEN} == failed.value.metadata


async def test_a_child_s_grant_that_cannot_be_used_is_a_protocol_error(around: Surroundings) -> None:
    async with (
        answering({"access_token": "the-token", "expires_in": -1}) as (url, _),
        around.wecom(url) as wecom,
    ):
        with pytest.raises(WecomProtocol) as failed:
            await call(wecom, parent_with("p"), CHILD_TOKEN)

    assert {"endpoint": CHILD_TOKEN} == failed.value.metadata


@pytest.mark.parametrize(("given", "seconds"), [(7200, 7200), ("7200", 7200), (1, 1), (59.5, 59.5), (0, 0)])
async def test_an_expires_in_is_read_as_seconds(around: Surroundings, given: object, seconds: float) -> None:
    async with (
        answering({"access_token": "the-token", "expires_in": given}) as (url, _),
        around.wecom(url) as wecom,
    ):
        assert seconds == (await wecom.fetch_app_token(app(corp_id="ww0"))).lifetime.total_seconds()


WRONG_LISTS: list[tuple[str, object]] = [
    ("a string", "ww1"),
    ("an object", {"corpid": "ww1", "agentid": 1}),
    ("a number", 5),
    ("strings", ["ww1"]),
    ("nulls", [None]),
    ("lists", [["ww1", 1]]),
    ("no corpid", [{"agentid": 1}]),
    ("no agentid", [{"corpid": "ww1"}]),
    ("an empty corpid", [{"corpid": "", "agentid": 1}]),
    ("a corpid with a space", [{"corpid": "ww 1", "agentid": 1}]),
    ("a corpid that is too long", [{"corpid": "w" * 65, "agentid": 1}]),
    ("a word for an agentid", [{"corpid": "ww1", "agentid": "x"}]),
    ("a null agentid", [{"corpid": "ww1", "agentid": None}]),
    ("an agentid of zero", [{"corpid": "ww1", "agentid": 0}]),
    ("a negative agentid", [{"corpid": "ww1", "agentid": -1}]),
    ("an agentid past 64 bits", [{"corpid": "ww1", "agentid": 2**63}]),
    ("an infinite agentid", [{"corpid": "ww1", "agentid": float("inf")}]),
]


@pytest.mark.parametrize(
    "listed", [listed for _, listed in WRONG_LISTS], ids=[name for name, _ in WRONG_LISTS]
)
async def test_a_listing_that_cannot_be_read_is_a_protocol_error(
    around: Surroundings, listed: object
) -> None:
    async with answering({"ending": 1, "corp_list": listed}) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol) as failed:
            await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert {"endpoint": LIST_SHARES} == failed.value.metadata


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, ""),
        ("", ""),
        ("示例", "示例"),
        (5, "5"),
        ("half \ud800 a character", "half \ufffd a character"),
    ],
)
async def test_a_corp_s_name_is_taken_as_it_comes(around: Surroundings, given: object, name: str) -> None:
    listed = [{"corpid": "ww1", "agentid": "7", "corp_name": given}]
    async with answering({"ending": 1, "corp_list": listed}) as (url, _), around.wecom(url) as wecom:
        (share,) = await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert (name, 7) == (share.corp_name, share.agent_id)
