"""What a refused caller is told: what its request names, and nothing that the broker found out."""

import pytest
from google.protobuf.message import Message
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import event_service_pb2 as event_pb
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1.target_pb2 import Target

from broker.domain.errors import CallerNotAllowed, SessionNotFound
from broker.server.grpc.entry.authorizer import told

KNOWN = {"caller": "one", "action": "token.get", "path": "/cgi-bin/user/get"}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (None, {}),
        (mini_pb.DecryptDataRequest(session_id="s"), {}),
        (identity_pb.ExchangeAuthCodeRequest(app="crm", code="ww1"), {"app": "crm"}),
        (token_pb.GetAccessTokenRequest(target=Target(app="crm")), {"app": "crm"}),
        (
            token_pb.GetAccessTokenRequest(target=Target(app="crm", corp_id="ww1")),
            {"app": "crm", "corp_id": "ww1"},
        ),
        (
            share_pb.ListAppSharesRequest(app="crm", parent_corp_id="ww1"),
            {"app": "crm", "corp_id": "ww1"},
        ),
        (event_pb.SubscribeEventsRequest(apps=["hr", "crm"]), {"app": "crm"}),
    ],
)
def test_a_refusal_names_the_app_and_the_corp_that_the_request_names(
    request_: Message | None, expected: dict[str, str]
) -> None:
    error = CallerNotAllowed("the caller may not do this", app="crm", corp_id="ww1", **KNOWN)

    found = told(error, request_)

    assert (CallerNotAllowed, error.message) == (type(found), found.message)
    assert {**KNOWN, **expected} == found.metadata
    assert {**KNOWN, "app": "crm", "corp_id": "ww1"} == error.metadata, "for the audit trail"


def test_other_errors_stay_as_they_are() -> None:
    error = SessionNotFound("no such session", app="crm")

    assert error is told(error, mini_pb.DecryptDataRequest())
