"""Services with a callback URL of their own."""

from __future__ import annotations

import grpc
import pytest
from wecom_broker import Broker, Event
from wecom_broker.errors import InvalidRequest
from wecom_broker.v1 import callback_service_pb2 as pb

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_events import event_message

QUERY = {"msg_signature": "5c45", "timestamp": "1900000000", "nonce": "1372623149"}


async def test_a_verification_is_answered_with_what_it_holds(fake: FakeBroker, either: Broker):
    assert b"1616140317555161061" == await either.verify_url("crm", **QUERY, echostr="P9nA==")
    assert [pb.VerifyUrlRequest(app="crm", **QUERY, echostr="P9nA==")] == fake.requests


async def test_an_envelope_becomes_an_event(fake: FakeBroker, either: Broker):
    event = await either.open_envelope("crm", b"<xml>\xff</xml>", **QUERY)

    assert Event.from_proto(event_message(1, event_id="")) == event
    assert ("", 0) == (event.event_id, event.delivery_count)
    assert [pb.OpenEnvelopeRequest(app="crm", **QUERY, body=b"<xml>\xff</xml>")] == fake.requests


async def test_the_url_of_a_client_is_named_by_its_corp(fake: FakeBroker, either: Broker):
    await either.verify_url("tailored", **QUERY, echostr="P9nA==", corp="wp1")
    await either.open_envelope("tailored", b"<xml/>", **QUERY, corp="wp1")

    assert [
        pb.VerifyUrlRequest(app="tailored", **QUERY, echostr="P9nA==", corp_id="wp1"),
        pb.OpenEnvelopeRequest(app="tailored", **QUERY, body=b"<xml/>", corp_id="wp1"),
    ] == fake.requests


async def test_a_reply_is_sealed(fake: FakeBroker, either: Broker):
    assert b"<xml>sealed</xml>" == await either.seal_reply("crm", "<xml/>", corp="ww1")
    assert [pb.SealReplyRequest(app="crm", corp_id="ww1", message="<xml/>")] == fake.requests


async def test_a_reply_to_a_robot_carries_the_nonce_of_its_callback(fake: FakeBroker, either: Broker):
    await either.seal_reply("crm", "{}", nonce="1372623149")

    assert [pb.SealReplyRequest(app="crm", message="{}", nonce="1372623149")] == fake.requests


async def test_a_foreign_envelope_is_told(fake: FakeBroker, either: Broker):
    fake.refusals["OpenEnvelope"] = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", metadata={"field": "msg_signature"}
    )

    with pytest.raises(InvalidRequest) as refused:
        await either.open_envelope("crm", b"", **QUERY)
    assert {"field": "msg_signature"} == refused.value.metadata
