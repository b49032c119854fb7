"""Signatures for pages, of the parent and of children."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import js_sdk_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from broker.domain.secret import Secret
from broker.protocol.js_sdk import sign_url
from broker.simulator.demo import PARENT
from broker.simulator.world.corps import AppId
from broker.simulator.world.faults import Errcode, HttpStatus, Reset
from broker.simulator.world.shares import BusinessType
from tests.integration.acting.acting import CHILD, CHILD_AGENT, Acting, acting, reason_of, refusal_of, target
from tests.kit.processes.fleet import SEAL_KEY, refusal, until
from tests.kit.processes.redis_server import RedisServer

URL = "https://crm.example.com/orders/4711?tab=payments"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path) as found:
        yield found


async def sign(running: Acting, corp_id: str = "", url: str = URL) -> pb.SignPageResponse:
    return await running.js_sdk.SignPage(pb.SignPageRequest(target=target(corp_id), url=url))


def recomputed(
    running: Acting, signature: pb.ConfigSignature, agent_id: int, kind: str, url: str = URL
) -> str:
    ticket = running.world.tickets.latest(kind, AppId(signature.corp_id, agent_id))
    return sign_url(Secret(ticket), signature.nonce_str, signature.timestamp, url)


@pytest.mark.parametrize(("corp_id", "corp", "agent"), [("", *PARENT), (CHILD, CHILD, CHILD_AGENT)])
async def test_a_signature_is_made_with_the_ticket_of_the_corp_whose_page_it_is(
    running: Acting, corp_id: str, corp: str, agent: int
) -> None:
    signed = await sign(running, corp_id)

    assert (corp, corp, agent) == (
        signed.config.corp_id,
        signed.agent_config.corp_id,
        signed.agent_config.agent_id,
    )
    assert recomputed(running, signed.config, agent, "corp") == signed.config.signature
    assert recomputed(running, signed.agent_config, agent, "agent") == signed.agent_config.signature


async def test_what_follows_a_hash_is_not_signed(running: Acting) -> None:
    signed = await sign(running, CHILD, URL + "#/details?x=1")

    assert recomputed(running, signed.config, CHILD_AGENT, "corp") == signed.config.signature


async def test_a_warm_signature_makes_no_call_to_wecom(running: Acting) -> None:
    first = await sign(running, CHILD)
    before = running.world.log.calls()
    others = [await sign(running, CHILD) for _ in range(20)]

    assert before == running.world.log.calls()
    assert 21 == len({signed.config.nonce_str for signed in [first, *others]})


@pytest.mark.parametrize(
    "url", ["", "ftp://crm.example.com/", "crm.example.com", "https://", "https://a b", "x" * 5000]
)
async def test_a_url_that_no_page_has_is_refused_by_name(running: Acting, url: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sign(running, CHILD, url)

    assert ("INVALID_REQUEST", "url") == (reason_of(caught.value)[0], reason_of(caught.value)[1]["field"])


async def test_a_reported_ticket_is_replaced_once(running: Acting) -> None:
    signed = await sign(running, CHILD)
    running.world.kill_tickets(CHILD, CHILD_AGENT, "agent")
    report = pb.ReportInvalidTicketRequest(
        target=target(CHILD),
        kind=pb.TICKET_KIND_AGENT,
        generation=signed.agent_config.generation,
        errcode=42012,
    )
    outcomes = await asyncio.gather(*(running.js_sdk.ReportInvalidTicket(report) for _ in range(20)))
    again = await sign(running, CHILD)

    assert {token_pb.REPORT_OUTCOME_ROTATED, token_pb.REPORT_OUTCOME_ALREADY_ROTATED} >= {
        answer.outcome for answer in outcomes
    }
    assert 2 == running.world.log.calls("/cgi-bin/ticket/get")
    assert recomputed(running, again.agent_config, CHILD_AGENT, "agent") == again.agent_config.signature


async def test_150_forced_refreshes_use_half_of_the_hour_and_never_a_45009(running: Acting) -> None:
    request = admin_pb.RefreshCredentialRequest(
        target=target(CHILD), kind=admin_pb.CREDENTIAL_KIND_AGENT_TICKET
    )
    refused = []
    for _ in range(150):
        try:
            await running.admin.RefreshCredential(request)
        except grpc.aio.AioRpcError as error:
            refused.append(reason_of(error)[0])
    codes = {record.errcode for record in running.world.log.records}
    quotas = (await running.admin.GetQuotas(admin_pb.GetQuotasRequest())).quotas
    used = {quota.agent_id: quota.used_count for quota in quotas if quota.corp_id == CHILD}

    assert {"QUOTA_RESERVED"} == set(refused)
    assert 1 + 50 == running.world.log.calls("/cgi-bin/ticket/get") == used[CHILD_AGENT]
    assert 45009 not in codes
    # What is valid is served.
    await running.js_sdk.SignAgentConfig(pb.SignAgentConfigRequest(target=target(CHILD), url=URL))


AGENT_TICKET = admin_pb.RefreshCredentialRequest(
    target=target(CHILD), kind=admin_pb.CREDENTIAL_KIND_AGENT_TICKET
)


async def used_of_agent(running: Acting) -> int:
    quotas = (await running.admin.GetQuotas(admin_pb.GetQuotasRequest())).quotas
    return next(
        quota.used_count for quota in quotas if (quota.corp_id, quota.agent_id) == (CHILD, CHILD_AGENT)
    )


async def test_a_repeat_of_a_fetch_counts_too(running: Acting) -> None:
    await sign(running, CHILD)
    corp_and_agent = await used_of_agent(running)
    for fault in (Errcode(-1), HttpStatus(502), Reset(takes_effect=True)):
        running.world.faults.add("/cgi-bin/ticket/get", fault, times=1)
        await running.admin.RefreshCredential(AGENT_TICKET)

    assert 1 + 3 * 2 == running.world.log.calls("/cgi-bin/ticket/get")
    assert corp_and_agent + 3 * 2 == await used_of_agent(running)


async def test_callers_who_ask_in_an_outage_do_not_use_up_the_hour(running: Acting) -> None:
    await running.js_sdk.SignConfig(pb.SignConfigRequest(target=target(CHILD), url=URL))
    running.world.faults.add("/cgi-bin/ticket/get", HttpStatus(503))
    request = pb.SignAgentConfigRequest(target=target(CHILD), url=URL)
    told = {(await refusal_of(running.js_sdk.SignAgentConfig(request)))[0] for _ in range(200)}
    running.world.faults.clear()

    async def signs() -> bool:
        try:
            return bool((await running.js_sdk.SignAgentConfig(request)).agent_config.signature)
        except grpc.aio.AioRpcError:
            return False

    assert {"WECOM_UNAVAILABLE"} == told
    await until(signs, within=20)
    assert 1 + running.world.log.calls("/cgi-bin/ticket/get") == await used_of_agent(running) < 50


async def test_two_brokers_that_refresh_at_once_stay_under_the_limit_together(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        store = {"url": redis.url, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}
        async with acting(tmp_path, store=store) as one, one.another() as other:
            refused = []

            async def refresh(running: Acting) -> None:
                for _ in range(75):
                    try:
                        await running.admin.RefreshCredential(AGENT_TICKET)
                    except grpc.aio.AioRpcError as error:
                        refused.append(reason_of(error)[0])

            await asyncio.gather(refresh(one), refresh(other))

            assert {"QUOTA_RESERVED"} >= set(refused)
            assert one.world.log.calls("/cgi-bin/ticket/get") <= 100
            assert 45009 not in {record.errcode for record in one.world.log.records}
            # What is valid is served.
            request = pb.SignAgentConfigRequest(target=target(CHILD), url=URL)
            signed = [await running.js_sdk.SignAgentConfig(request) for running in (one, other)]
            assert 1 == len({answer.agent_config.generation for answer in signed})


async def test_whoever_is_refused_is_told_when_the_hour_has_room(running: Acting) -> None:
    began = time.monotonic()
    for _ in range(1 + 50):
        await running.admin.RefreshCredential(AGENT_TICKET)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.admin.RefreshCredential(AGENT_TICKET)
    took = time.monotonic() - began
    reason, metadata = reason_of(caught.value)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert ("QUOTA_RESERVED", "50", "50") == (reason, metadata["used"], metadata["limit"])
    assert 3600 - 1 - took <= (refusal(caught.value).retry_seconds or 0) <= 3600 + 300


async def test_a_target_that_is_not_clear_is_told_by_field(running: Acting) -> None:
    running.world.share(PARENT, AppId(CHILD, 1000099), BusinessType.SUPPLY_CHAIN)
    ambiguous = await refusal_of(sign(running, CHILD))
    unknown = await refusal_of(sign(running, "ww-nobody"))

    assert ("AMBIGUOUS_TARGET", "target.share_kind") == (ambiguous[0], ambiguous[1]["field"])
    assert ("APP_NOT_SHARED", "ww-nobody") == (unknown[0], unknown[1]["corp_id"])


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("kind", {"generation": 1, "errcode": 42012}),
        ("generation", {"kind": pb.TICKET_KIND_CORP, "errcode": 42012}),
        ("errcode", {"kind": pb.TICKET_KIND_CORP, "generation": 1, "errcode": 40014}),
    ],
)
async def test_a_report_that_says_too_little_is_refused_by_field(
    running: Acting, field: str, fields: dict[str, int]
) -> None:
    request = pb.ReportInvalidTicketRequest(target=target(CHILD), **fields)
    reason, metadata = await refusal_of(running.js_sdk.ReportInvalidTicket(request))

    assert ("INVALID_REQUEST", field) == (reason, metadata["field"])


async def test_a_page_with_8_kilobytes_of_query_is_signed(running: Acting) -> None:
    longest = (URL.partition("#")[0] + "?sso=").ljust(8192, "t")
    signed = await sign(running, CHILD, longest + "#" + "x" * 1000)

    assert signed.config.signature
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await sign(running, CHILD, longest + "t")
    assert "url" == reason_of(refused.value)[1]["field"]
    assert "ttt" not in str(refused.value)
