"""Sessions of mini-program users."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from wecom_broker import Broker, Session, ShareKind, Target
from wecom_broker.errors import CodeRejected, DataRejected, SessionNotFound
from wecom_broker.v1 import mini_program_service_pb2 as pb
from wecom_broker.v1 import target_pb2

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_services import EXPIRY, SESSION_ID

SESSION = Session(SESSION_ID, "ww1", "zhang", "encrypted", converted=True, expire_time=EXPIRY)
held = pytest.mark.parametrize("session", [SESSION, SESSION_ID], ids=["session", "id"])


async def test_a_code_becomes_a_session(fake: FakeBroker, either: Broker):
    assert SESSION == await either.mini_program_login("crm", "js-code")
    assert [pb.ExchangeLoginCodeRequest(app="crm", js_code="js-code")] == fake.requests


async def test_the_corp_that_authorised_the_app_is_named(fake: FakeBroker, either: Broker):
    await either.mini_program_login("tailored", "js-code", corp="wp1")

    assert "wp1" == fake.requests[-1].corp_id


async def test_the_share_kind_can_be_chosen(fake: FakeBroker, either: Broker):
    await either.mini_program_login("crm", "js-code", share_kind="supply_chain")

    assert target_pb2.SHARE_KIND_SUPPLY_CHAIN == fake.requests[-1].share_kind


async def test_the_agent_can_be_chosen(fake: FakeBroker, either: Broker):
    await either.mini_program_login("crm", "js-code", agent_id=7)

    assert 7 == fake.requests[-1].agent_id


async def test_a_spent_code_is_told(fake: FakeBroker, either: Broker):
    fake.refusals["ExchangeLoginCode"] = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "CODE_REJECTED")

    with pytest.raises(CodeRejected):
        await either.mini_program_login("crm", "js-code")


async def test_a_parents_session_becomes_the_childs(fake: FakeBroker, either: Broker):
    session = await either.convert_session(
        "crm", "ww2", user_id="encrypted", session_key="parents", share_kind="corp_group", agent_id=7
    )

    assert replace(SESSION, corp_id="ww2") == session
    target = Target("crm", "ww2", ShareKind.CORP_GROUP, 7).to_proto()
    assert [
        pb.ConvertSessionRequest(target=target, user_id="encrypted", session_key="parents")
    ] == fake.requests


@held
async def test_data_is_decrypted_to_bytes(fake: FakeBroker, either: Broker, session: Session | str):
    assert b"\x00plain" == await either.decrypt_data(session, "c2VjcmV0", "aXY=")
    assert [
        pb.DecryptDataRequest(session_id=SESSION_ID, encrypted_data="c2VjcmV0", iv="aXY=")
    ] == fake.requests


@held
async def test_a_signature_is_right_or_not(fake: FakeBroker, either: Broker, session: Session | str):
    assert (await either.verify_signature(session, "{}", "right")) is True
    assert (await either.verify_signature(session, "{}", "wrong")) is False
    assert (
        pb.VerifySignatureRequest(session_id=SESSION_ID, raw_data="{}", signature="wrong")
        == fake.requests[-1]
    )


@held
async def test_the_key_can_be_had(fake: FakeBroker, either: Broker, session: Session | str):
    assert "the-key" == await either.session_key(session)
    assert [pb.GetSessionKeyRequest(session_id=SESSION_ID)] == fake.requests


@held
async def test_a_session_can_be_ended(fake: FakeBroker, either: Broker, session: Session | str):
    assert await either.delete_session(session) is None
    assert [pb.DeleteSessionRequest(session_id=SESSION_ID)] == fake.requests


async def test_a_session_that_is_over_is_told(fake: FakeBroker, either: Broker):
    for method, call in (
        ("DecryptData", lambda: either.decrypt_data(SESSION, "", "")),
        ("VerifySignature", lambda: either.verify_signature(SESSION, "", "")),
        ("GetSessionKey", lambda: either.session_key(SESSION)),
        ("DeleteSession", lambda: either.delete_session(SESSION)),
    ):
        fake.refusals[method] = Refusal(grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
        with pytest.raises(SessionNotFound):
            await call()


async def test_data_that_does_not_fit_is_told(fake: FakeBroker, either: Broker):
    fake.refusals["DecryptData"] = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "DATA_REJECTED")

    with pytest.raises(DataRejected):
        await either.decrypt_data(SESSION, "", "")


def test_a_session_shows_too_little_of_its_id_to_use_it():
    for text in (repr(SESSION), str(SESSION), f"{[SESSION]}"):
        assert SESSION_ID[5:] not in text
        assert "session_id='5e55…'" in text
        assert "zhang" in text
