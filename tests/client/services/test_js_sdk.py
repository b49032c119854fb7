"""Signatures of pages."""

from __future__ import annotations

import grpc
import pytest
from wecom_broker import (
    AgentConfigSignature,
    Broker,
    ConfigSignature,
    PageSignature,
    ReportOutcome,
    ShareKind,
    Signature,
    Target,
)
from wecom_broker.errors import InvalidRequest, QuotaReserved
from wecom_broker.v1 import js_sdk_service_pb2 as pb
from wecom_broker.v1 import target_pb2, token_service_pb2

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_services import AGENT_NONCE, CORP_NONCE

URL = "https://crm.test/page?a=1#part"
TARGET = Target("crm", "ww1", ShareKind.SUPPLY_CHAIN, 7)
CONFIG = Signature("ww1", 1_900_000_000, CORP_NONCE, f"corp ticket, {URL}", 3, TARGET)
AGENT_CONFIG = Signature(
    "ww1", 1_900_000_000, AGENT_NONCE, f"agent ticket, {URL}", 4, TARGET, agent_id=1000002
)
DEAD = 40093


async def test_a_page_is_signed_for_both_in_one_call(fake: FakeBroker, either: Broker):
    signed = await either.sign_page("crm", URL, "ww1", share_kind="supply_chain", agent_id=7)

    assert PageSignature(CONFIG, AGENT_CONFIG) == signed
    assert [pb.SignPageRequest(target=TARGET.to_proto(), url=URL)] == fake.requests


async def test_a_page_is_signed_for_one(fake: FakeBroker, either: Broker):
    named = {"corp": "ww1", "share_kind": ShareKind.SUPPLY_CHAIN, "agent_id": 7}

    assert CONFIG == await either.sign_config("crm", URL, **named)
    assert AGENT_CONFIG == await either.sign_agent_config("crm", URL, **named)
    assert {"SignConfig": 1, "SignAgentConfig": 1} == fake.calls


async def test_what_knows_a_signature_by_its_earlier_name_knows_it_still(either: Broker):
    signed = await either.sign_page("crm", URL, "ww1")

    assert isinstance(signed.config, ConfigSignature)
    assert isinstance(signed.agent_config, AgentConfigSignature)


async def test_without_a_corp_the_page_is_the_apps_own(fake: FakeBroker, either: Broker):
    signed = await either.sign_page("crm", URL)

    assert "ww-own" == signed.config.corp_id
    assert target_pb2.Target(app="crm") == fake.requests[-1].target


@pytest.mark.parametrize(
    ("signature", "kind", "generation"),
    [(CONFIG, pb.TICKET_KIND_CORP, 3), (AGENT_CONFIG, pb.TICKET_KIND_AGENT, 4)],
    ids=["config", "agent_config"],
)
async def test_a_refused_signature_reports_its_own_ticket(
    fake: FakeBroker,
    either: Broker,
    *,
    signature: Signature,
    kind: pb.TicketKind,
    generation: int,
):
    assert ReportOutcome.ROTATED == await either.ticket_rejected(signature, DEAD)
    assert [
        pb.ReportInvalidTicketRequest(
            target=TARGET.to_proto(), kind=kind, generation=generation, errcode=DEAD
        )
    ] == fake.requests


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (token_service_pb2.REPORT_OUTCOME_ALREADY_ROTATED, ReportOutcome.ALREADY_ROTATED),
        (token_service_pb2.REPORT_OUTCOME_UNCHANGED, ReportOutcome.UNCHANGED),
        (token_service_pb2.REPORT_OUTCOME_COOLING_DOWN, ReportOutcome.COOLING_DOWN),
        (99, None),
    ],
)
async def test_a_report_says_what_it_changed(
    fake: FakeBroker, either: Broker, number: int, outcome: ReportOutcome | None
):
    fake.outcome = number

    assert outcome is await either.ticket_rejected(CONFIG, DEAD)


async def test_a_quota_held_back_is_told_with_the_time_to_wait(fake: FakeBroker, either: Broker):
    fake.refusals["SignPage"] = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_RESERVED")

    with pytest.raises(QuotaReserved):
        await either.sign_page("crm", URL)


async def test_a_url_that_cannot_be_signed_names_its_field(fake: FakeBroker, either: Broker):
    fake.refusals["SignPage"] = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", metadata={"field": "url"}
    )

    with pytest.raises(InvalidRequest) as caught:
        await either.sign_page("crm", "ftp://crm.test")
    assert {"field": "url"} == caught.value.metadata
