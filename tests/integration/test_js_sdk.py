"""Signatures for pages, of the parent and of children."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from broker.domain.secret import Secret
from broker.protocol.js_sdk_signature import sign_url
from broker.simulator.demo import PARENT
from tests.integration.acting import CHILD, CHILD_AGENT, Acting, acting, reason_of, target
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import js_sdk_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2 as token_pb

URL = "https://crm.example.com/orders/4711?tab=payments"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path) as found:
        yield found


async def sign(running: Acting, corp_id: str = "", url: str = URL) -> pb.SignPageResponse:
    return await running.js_sdk.SignPage(pb.SignPageRequest(target=target(corp_id), url=url))


def recomputed(running: Acting, signature: pb.ConfigSignature, agent_id: int, kind: str, url: str = URL) -> str:
    ticket = running.world.ticket_of(signature.corp_id, agent_id, kind)
    return sign_url(Secret(ticket), signature.nonce_str, signature.timestamp, url)


@pytest.mark.parametrize(("corp_id", "corp", "agent"), [("", *PARENT), (CHILD, CHILD, CHILD_AGENT)])
async def test_a_signature_is_made_with_the_ticket_of_the_corp_whose_page_it_is(
    running: Acting, corp_id: str, corp: str, agent: int
) -> None:
    signed = await sign(running, corp_id)

    assert (corp, corp, agent) == (signed.config.corp_id, signed.agent_config.corp_id, signed.agent_config.agent_id)
    assert recomputed(running, signed.config, agent, "corp") == signed.config.signature
    assert recomputed(running, signed.agent_config, agent, "agent") == signed.agent_config.signature


async def test_what_follows_a_hash_is_not_signed(running: Acting) -> None:
    signed = await sign(running, CHILD, URL + "#/details?x=1")

    assert recomputed(running, signed.config, CHILD_AGENT, "corp") == signed.config.signature


async def test_a_warm_signature_makes_no_call_to_wecom(running: Acting) -> None:
    first = await sign(running, CHILD)
    before = running.world.calls()
    others = [await sign(running, CHILD) for _ in range(20)]

    assert before == running.world.calls()
    assert 21 == len({signed.config.nonce_str for signed in [first, *others]})


@pytest.mark.parametrize("url", ["", "ftp://crm.example.com/", "crm.example.com", "https://", "https://a b", "x" * 5000])
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
    assert 2 == running.world.calls("/cgi-bin/ticket/get")
    assert recomputed(running, again.agent_config, CHILD_AGENT, "agent") == again.agent_config.signature


async def test_150_forced_refreshes_make_at_most_100_calls_and_never_a_45009(running: Acting) -> None:
    request = admin_pb.RefreshCredentialRequest(target=target(CHILD), kind=admin_pb.CREDENTIAL_KIND_AGENT_TICKET)
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
    assert 100 == running.world.calls("/cgi-bin/ticket/get") == used[CHILD_AGENT]
    assert 45009 not in codes
    # What is valid is served.
    await running.js_sdk.SignAgentConfig(pb.SignAgentConfigRequest(target=target(CHILD), url=URL))
