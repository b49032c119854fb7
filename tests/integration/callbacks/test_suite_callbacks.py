"""The callbacks of suites and providers through the HTTP server, as WeCom publishes and repeats them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from wecom_broker.v1 import callback_service_pb2 as pb

from broker.simulator import Delay
from broker.simulator import provider_demo as demo
from broker.simulator.callbacks.cdata import document
from broker.simulator.world.suites.codes import AuthCodePurpose
from tests.kit.callbacks.suite_endpoint import SuiteEndpoint, suite_door
from tests.kit.callbacks.suite_samples import (
    CODE,
    CORP,
    CUT_OUT,
    MARKET_ID,
    PROVIDER_CORP,
    SAMPLES,
    TAILORED_ID,
    TICKET,
    data,
)
from tests.kit.callbacks.vectors import T1, T2, T3
from tests.kit.machine import busy
from tests.kit.processes.fleet import until
from tests.kit.time_bounds import check_took

ACCEPTED, REFUSED = (200, "success"), (403, "refused\n")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[SuiteEndpoint]:
    async with suite_door(tmp_path) as door:
        yield door


def envelope(encrypted: str) -> bytes:
    return document(ToUserName="x", AgentID="", Encrypt=encrypted).encode()


def created(code: str = CODE, at: float = 0) -> str:
    """Write a create_auth of just now."""
    return document(
        SuiteId=MARKET_ID,
        AuthCode=code,
        InfoType="create_auth",
        TimeStamp=int(at or time.time()),
        State="123",
    )


def ticket(value: str, at: float) -> str:
    return document(SuiteId=MARKET_ID, InfoType="suite_ticket", TimeStamp=int(at), SuiteTicket=value)


# --- vectors


async def test_the_vectors_of_each_receiver_pass(tmp_path: Path) -> None:
    async with suite_door(tmp_path, max_age_seconds=0) as door:
        market = door.senders["market"]
        signed = {"timestamp": "1763020800", "nonce": "917340552"}
        query = {"msg_signature": "b1ea3ec2b0158e7f78103c2159c175f288841dc4", **signed}
        assert ACCEPTED == (await market.post_envelope(query, envelope(T1)))[:2]

        query = {
            "msg_signature": "54a7249c0c4e0b14b83240a3b70e074aa95bc510",
            "timestamp": "1763020801",
            "nonce": "20481137",
            "echostr": T2,
        }
        async with market.session.get(market.url, params=query) as answer:
            assert (200, b"7043915826640017394") == (answer.status, await answer.read())

        signed = {"timestamp": "1763020802", "nonce": "558120946"}
        query = {"msg_signature": "0db6c7f9fc2c4108e00f03876516014fcf24cb2b", **signed}
        assert REFUSED == (await market.post_envelope(query, envelope(T3)))[:2]
        assert ACCEPTED == await door.post("market", MARKET_ID, created())
        assert ACCEPTED == (await market.post_envelope(query, envelope(T3)))[:2]

        pushed, _, changed = await door.log("market")
        assert ("suite_ticket", "", 1763020800) == (
            pushed.event_type,
            pushed.corp_id,
            pushed.create_time.seconds,
        )
        assert ("change_app_admin", CORP, True) == (
            changed.event_type,
            changed.corp_id,
            changed.corp_unknown,
        )
        assert TICKET not in str(pushed)
        forms = {("market", "provider"): 1, ("market", "suite"): 3, ("market", "installing_corp"): 1}
        assert forms == door.receivers()


# --- samples


async def test_each_message_of_the_reference_is_seen_by_a_subscriber(
    door: SuiteEndpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ACCEPTED == await door.post("market", MARKET_ID, created("c" * 64))
    for sample in SAMPLES:
        assert ACCEPTED == await door.post(sample.app, sample.receive_id, sample.xml), sample.event_type

    for app in ("market", "tailored", "acme"):
        seen = [event for event in await door.log(app) if "c" * 64 not in str(event)]
        sent = [sample for sample in SAMPLES if sample.app == app]
        if app == "market":
            # The one that opened the installation.
            seen = seen[1:]
        # The share events differ in how they are written alone: the repeats of one are one event.
        wanted = list(
            dict.fromkeys((sample.event_type, sample.corp_id, sample.change_type) for sample in sent)
        )
        found = list(dict.fromkeys((event.event_type, event.corp_id, event.change_type) for event in seen))
        assert wanted == found
        assert {app} == {event.app for event in seen}
        text = "".join(map(str, seen))
        assert [] == [secret for secret in CUT_OUT if secret in text]
    written = "".join(capfd.readouterr())
    assert [] == [secret for secret in (*CUT_OUT, "CONVERSATIONTOKEN", "KFTOKEN") if secret in written]


# --- refusals


async def test_a_wrong_suite_id_and_a_foreign_receiver_are_refused_and_leave_nothing(
    door: SuiteEndpoint,
) -> None:
    foreign = SAMPLES[0].xml.replace(MARKET_ID, TAILORED_ID)
    assert REFUSED == await door.post("market", MARKET_ID, foreign)
    assert REFUSED == await door.post("market", TAILORED_ID, SAMPLES[0].xml)
    assert REFUSED == await door.post("market", "wpStranger", data("change_app_admin"))
    assert REFUSED == await door.post("tailored/wpClient", MARKET_ID, SAMPLES[0].xml)
    assert REFUSED == await door.post("acme", PROVIDER_CORP, SAMPLES[0].xml)

    assert [] == await door.log("market")
    [metric] = door.broker.telemetry.metrics.callbacks.collect()
    counted = {
        (sample.labels["app"], sample.labels["outcome"]): sample.value
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert (3, 1, 1) == tuple(counted[app, "receive_id"] for app in ("market", "tailored", "acme"))


async def test_a_slash_at_the_end_is_taken(door: SuiteEndpoint) -> None:
    sender = door.senders["market"]
    query, body = sender.envelope(SAMPLES[0].xml.encode(), receive_id=MARKET_ID)
    async with sender.session.post(f"{sender.url}/", params=query, data=body) as answer:
        assert ACCEPTED == (answer.status, await answer.text())


# --- repeats and storms


async def test_a_repeated_push_is_answered_again_and_delivered_once(door: SuiteEndpoint) -> None:
    message = created()
    answers = await asyncio.gather(*(door.post("market", MARKET_ID, message) for _ in range(20)))

    assert {ACCEPTED} == set(answers)
    assert ["create_auth"] == [event.event_type for event in await door.log("market")]


async def test_a_storm_of_tickets_is_answered_and_the_newest_is_kept(door: SuiteEndpoint) -> None:
    now = time.time()
    real = door.world.suites.tickets.issue(MARKET_ID, now)
    messages = [ticket(f"old{number:04d}", now - 1001 + number) for number in range(1000)]
    messages.insert(500, ticket(real.value, now))
    began = time.monotonic()
    async with busy() as machine:
        answers = await asyncio.gather(*(door.post("market", MARKET_ID, message) for message in messages))
    seconds = time.monotonic() - began

    assert {ACCEPTED} == set(answers)
    check_took(seconds - machine.seconds, 20)
    assert ACCEPTED == await door.post("market", MARKET_ID, ticket("late", now - 1))
    assert 0 == door.world.log.calls("service/get_suite_token")
    assert 1002 == len(await door.log("market"))


# --- services with a URL of their own


async def test_an_envelope_that_a_service_has_opened_counts_as_a_push(door: SuiteEndpoint) -> None:
    sender = door.senders["market"]
    query, body = sender.envelope(created().encode(), receive_id=MARKET_ID)
    answer = await door.service.OpenEnvelope(pb.OpenEnvelopeRequest(app="market", body=body, **query))

    assert ("create_auth", "", "") == (
        answer.event.event_type,
        answer.event.corp_id,
        answer.event.fields["AuthCode"],
    )
    assert CODE not in str(answer)
    # Its code is known: the corp may be the one that sends.
    query, body = sender.envelope(data("enter_agent").encode(), receive_id=CORP)
    answer = await door.service.OpenEnvelope(pb.OpenEnvelopeRequest(app="market", body=body, **query))
    assert (CORP, True) == (answer.event.corp_id, answer.event.corp_unknown)
    assert [] == await door.log("market")


async def test_a_service_names_the_client_whose_keys_open_its_url(door: SuiteEndpoint) -> None:
    assert ACCEPTED == await door.post("tailored", TAILORED_ID, created().replace(MARKET_ID, TAILORED_ID))
    query, body = door.senders["tailored/wpClient"].envelope(
        data("enter_agent", "wpClient").encode(), receive_id="wpClient"
    )
    request = pb.OpenEnvelopeRequest(app="tailored", body=body, corp_id="wpClient", **query)
    answer = await door.service.OpenEnvelope(request)
    assert ("wpClient", "enter_agent") == (answer.event.corp_id, answer.event.event_type)

    request.corp_id = ""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.service.OpenEnvelope(request)
    assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code()


# --- the life of an authorisation


async def taken(door: SuiteEndpoint, corp_id: str, content: str) -> tuple[int, str]:
    """Post a message of a user of the corp."""
    return await door.post("market", corp_id, data("enter_agent", corp_id, "woUser", EventKey=content))


async def test_a_corp_is_known_from_its_installation_to_its_cancellation(door: SuiteEndpoint) -> None:
    authorization = door.world.suites.authorize(
        door.world.suites.get("market"), door.world.corps.get(demo.PARENT), installer=demo.INSTALLER
    )
    corp_id = door.world.suites.corpid("market", demo.PARENT)
    code = door.world.suites.codes.add(AuthCodePurpose.INSTALL, authorization, "", door.world.now())
    assert REFUSED == await taken(door, corp_id, "before")
    assert ACCEPTED == await door.post("market", MARKET_ID, created(code.value))
    assert ACCEPTED == await taken(door, corp_id, "while it is open")
    # The exchange waits for a ticket.
    pushed = door.world.suites.tickets.issue(MARKET_ID, door.world.now())
    assert ACCEPTED == await door.post("market", MARKET_ID, ticket(pushed.value, pushed.issued_at))

    async def is_known() -> bool:
        assert ACCEPTED == await taken(door, corp_id, f"{time.monotonic_ns()}")
        return ("market", "authorized_corp") in door.receivers()

    await until(is_known)
    cancel = document(
        SuiteId=MARKET_ID, InfoType="cancel_auth", TimeStamp=int(time.time()) + 1, AuthCorpId=corp_id
    )
    assert ACCEPTED == await door.post("market", MARKET_ID, cancel)
    assert REFUSED == await taken(door, corp_id, "after")

    _, opened, *_, last, cancelled = await door.log("market")
    assert ("while it is open", True) == (opened.fields["EventKey"], opened.corp_unknown)
    assert (corp_id, False, "woUser") == (last.corp_id, last.corp_unknown, last.user_id)
    assert ("cancel_auth", corp_id) == (cancelled.event_type, cancelled.corp_id)


async def test_no_push_waits_for_wecom(door: SuiteEndpoint) -> None:
    door.world.faults.add("*", Delay(30))
    now = time.time()
    messages = [ticket("a-ticket-of-now", now), created()]
    messages += [
        document(SuiteId=MARKET_ID, InfoType=kind, TimeStamp=int(now), AuthCorpId=CORP, PaidCorpId=CORP)
        for kind in ("change_auth", "change_editon", "share_agent_change", "cancel_auth")
    ]
    for message in messages:
        async with busy() as machine:
            status, body, seconds = await door.senders["market"].post(message.encode(), receive_id=MARKET_ID)
        assert ACCEPTED == (status, body)
        check_took(seconds - machine.seconds, 0.9)


@pytest.mark.parametrize("value", ["a b", "票", "x" * 4097, "a\tb"])
async def test_a_ticket_or_code_that_no_call_could_carry_is_refused(door: SuiteEndpoint, value: str) -> None:
    for message in (ticket(value, time.time()), created(value)):
        assert 400 == (await door.senders["market"].post(message.encode(), receive_id=MARKET_ID))[0]
