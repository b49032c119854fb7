"""An app without an agent id (通讯录同步, 会话存档): tokens, but no shares, agentConfig or authorize link."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import app_share_service_pb2_grpc as share_grpc
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import js_sdk_service_pb2 as js_pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from tests.integration.acting.acting import APP, CHILD, Acting, acting, refusal_of, target

PAGE = "https://crm.example.com/"


@pytest.fixture
async def contacts(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path, {"agent_id": None, "share_kinds": []}) as found:
        yield found


def shares(contacts: Acting) -> Any:
    return share_grpc.AppShareServiceStub(contacts.channel)


async def test_its_own_token_is_served(contacts: Acting) -> None:
    answer = await contacts.tokens.GetAccessToken(token_pb.GetAccessTokenRequest(target=target()))

    assert answer.token.value
    assert 0 == answer.token.agent_id


async def test_its_corp_s_pages_are_signed_for_config_alone(contacts: Acting) -> None:
    answer = await contacts.js_sdk.SignConfig(js_pb.SignConfigRequest(target=target(), url=PAGE))

    assert answer.config.signature


REFUSED: dict[str, Callable[[Acting], Awaitable[object]]] = {
    "SignAgentConfig": lambda it: it.js_sdk.SignAgentConfig(
        js_pb.SignAgentConfigRequest(target=target(), url=PAGE)
    ),
    "SignPage": lambda it: it.js_sdk.SignPage(js_pb.SignPageRequest(target=target(), url=PAGE)),
    "ReportInvalidTicket": lambda it: it.js_sdk.ReportInvalidTicket(
        js_pb.ReportInvalidTicketRequest(
            target=target(), kind=js_pb.TICKET_KIND_AGENT, generation=1, errcode=40093
        )
    ),
    "BuildAuthorizeUrl": lambda it: it.identity.BuildAuthorizeUrl(
        identity_pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri=PAGE)
    ),
    "SyncAppShares": lambda it: shares(it).SyncAppShares(share_pb.SyncAppSharesRequest(app=APP)),
    "RefreshCredential": lambda it: it.admin.RefreshCredential(
        admin_pb.RefreshCredentialRequest(target=target(), kind=admin_pb.CREDENTIAL_KIND_AGENT_TICKET)
    ),
}


@pytest.mark.parametrize("rpc", REFUSED)
async def test_what_needs_an_agent_id_is_refused_by_name(contacts: Acting, rpc: str) -> None:
    reason, metadata = await refusal_of(REFUSED[rpc](contacts))

    assert "INVALID_REQUEST" == reason
    assert metadata["field"] in ("app", "target.app")


async def test_it_is_shared_with_nobody_and_wecom_is_not_asked(contacts: Acting) -> None:
    request = token_pb.GetAccessTokenRequest(target=target(CHILD))
    reason, metadata = await refusal_of(contacts.tokens.GetAccessToken(request))
    listed = await shares(contacts).ListAppShares(share_pb.ListAppSharesRequest(app=APP))

    assert ("APP_NOT_SHARED", APP) == (reason, metadata["app"])
    assert [] == list(listed.shares)
    assert 0 == contacts.world.log.calls("corpgroup/corp/list_app_share_info")


async def test_the_quota_of_its_corp_is_counted_once(contacts: Acting) -> None:
    await contacts.js_sdk.SignConfig(js_pb.SignConfigRequest(target=target(), url=PAGE))
    quotas = (await contacts.admin.GetQuotas(admin_pb.GetQuotasRequest())).quotas

    assert [(1, 400)] == [
        (use.used_count, use.limit_count) for use in quotas if use.endpoint == "jsapi_ticket"
    ]
