"""What the fake broker does with a corp's identity, beside tokens and shares."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wecom_broker.v1 import identity_service_pb2 as identity_pb2
from wecom_broker.v1 import js_sdk_service_pb2 as js_sdk_pb2
from wecom_broker.v1 import mini_program_service_pb2 as mini_program_pb2
from wecom_broker.v1 import suite_service_pb2 as suite_pb2
from wecom_broker.v1 import token_service_pb2 as tokens_pb2
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb2
from wecom_broker.v1.identity_service_pb2_grpc import (
    IdentityServiceServicer,
    add_IdentityServiceServicer_to_server,
)
from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceServicer, add_JsSdkServiceServicer_to_server
from wecom_broker.v1.mini_program_service_pb2_grpc import (
    MiniProgramServiceServicer,
    add_MiniProgramServiceServicer_to_server,
)
from wecom_broker.v1.suite_service_pb2_grpc import SuiteServiceServicer, add_SuiteServiceServicer_to_server
from wecom_broker.v1.wecom_api_service_pb2_grpc import (
    WecomApiServiceServicer,
    add_WecomApiServiceServicer_to_server,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio

    Context = grpc.aio.ServicerContext

CORP_NONCE, AGENT_NONCE = "corp-nonce", "agent-nonce"
SESSION_ID = "5e5510f1d0000000000000000000000a"
EXPIRY = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeServices(
    JsSdkServiceServicer,
    IdentityServiceServicer,
    MiniProgramServiceServicer,
    WecomApiServiceServicer,
    SuiteServiceServicer,
):
    """Answer every request with what can be recognised, until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome = tokens_pb2.REPORT_OUTCOME_ROTATED
        self.user = identity_pb2.User(
            corp_id="ww1", user_id="zhang", kind=identity_pb2.USER_KIND_CHILD_MEMBER
        )
        self.profile = identity_pb2.UserProfile(corp_id="ww-own", user_id="zhang", mobile="13800000000")
        self.suite_authorizations: list[suite_pb2.Authorization] = []
        self.authorization_changes: list[suite_pb2.WatchAuthorizationsResponse] = []
        self.api_answer = api_pb2.CallApiResponse(errmsg="ok", body=b"{}")
        self.upload_answer = api_pb2.UploadMediaResponse(errmsg="ok", media_id="media-1")
        self.pieces: list[api_pb2.DownloadMediaResponse] = []
        self.uploaded: list[api_pb2.UploadMediaRequest] = []
        self.endless = False
        """Whether a download has no end."""
        self.open_downloads = 0

    async def enter(self, method: str, request: object, context: Context) -> None:
        raise NotImplementedError

    def changed(self) -> None:
        raise NotImplementedError

    def add_services_to(self, server: grpc.aio.Server) -> None:
        add_JsSdkServiceServicer_to_server(self, server)
        add_IdentityServiceServicer_to_server(self, server)
        add_MiniProgramServiceServicer_to_server(self, server)
        add_WecomApiServiceServicer_to_server(self, server)
        add_SuiteServiceServicer_to_server(self, server)

    async def SignPage(
        self, request: js_sdk_pb2.SignPageRequest, context: Context
    ) -> js_sdk_pb2.SignPageResponse:
        await self.enter("SignPage", request, context)
        return js_sdk_pb2.SignPageResponse(
            config=_config(request.target.corp_id, request.url),
            agent_config=_agent_config(request.target.corp_id, request.url),
        )

    async def SignConfig(
        self, request: js_sdk_pb2.SignConfigRequest, context: Context
    ) -> js_sdk_pb2.SignConfigResponse:
        await self.enter("SignConfig", request, context)
        return js_sdk_pb2.SignConfigResponse(config=_config(request.target.corp_id, request.url))

    async def SignAgentConfig(
        self, request: js_sdk_pb2.SignAgentConfigRequest, context: Context
    ) -> js_sdk_pb2.SignAgentConfigResponse:
        await self.enter("SignAgentConfig", request, context)
        agent_config = _agent_config(request.target.corp_id, request.url)
        return js_sdk_pb2.SignAgentConfigResponse(agent_config=agent_config)

    async def ReportInvalidTicket(
        self, request: js_sdk_pb2.ReportInvalidTicketRequest, context: Context
    ) -> js_sdk_pb2.ReportInvalidTicketResponse:
        await self.enter("ReportInvalidTicket", request, context)
        return js_sdk_pb2.ReportInvalidTicketResponse(outcome=self.outcome)

    async def BuildAuthorizeUrl(
        self, request: identity_pb2.BuildAuthorizeUrlRequest, context: Context
    ) -> identity_pb2.BuildAuthorizeUrlResponse:
        await self.enter("BuildAuthorizeUrl", request, context)
        state = request.state or "made"
        return identity_pb2.BuildAuthorizeUrlResponse(url=f"https://wecom.test/?state={state}", state=state)

    async def ExchangeAuthCode(
        self, request: identity_pb2.ExchangeAuthCodeRequest, context: Context
    ) -> identity_pb2.ExchangeAuthCodeResponse:
        await self.enter("ExchangeAuthCode", request, context)
        return identity_pb2.ExchangeAuthCodeResponse(user=self.user)

    async def GetUserProfile(
        self, request: identity_pb2.GetUserProfileRequest, context: Context
    ) -> identity_pb2.GetUserProfileResponse:
        await self.enter("GetUserProfile", request, context)
        return identity_pb2.GetUserProfileResponse(profile=self.profile)

    async def ExchangeLoginCode(
        self, request: mini_program_pb2.ExchangeLoginCodeRequest, context: Context
    ) -> mini_program_pb2.ExchangeLoginCodeResponse:
        await self.enter("ExchangeLoginCode", request, context)
        return mini_program_pb2.ExchangeLoginCodeResponse(session=_session("ww1"))

    async def ConvertSession(
        self, request: mini_program_pb2.ConvertSessionRequest, context: Context
    ) -> mini_program_pb2.ConvertSessionResponse:
        await self.enter("ConvertSession", request, context)
        return mini_program_pb2.ConvertSessionResponse(session=_session(request.target.corp_id))

    async def DecryptData(
        self, request: mini_program_pb2.DecryptDataRequest, context: Context
    ) -> mini_program_pb2.DecryptDataResponse:
        await self.enter("DecryptData", request, context)
        return mini_program_pb2.DecryptDataResponse(plaintext=b"\x00plain")

    async def VerifySignature(
        self, request: mini_program_pb2.VerifySignatureRequest, context: Context
    ) -> mini_program_pb2.VerifySignatureResponse:
        await self.enter("VerifySignature", request, context)
        return mini_program_pb2.VerifySignatureResponse(valid=request.signature == "right")

    async def GetSessionKey(
        self, request: mini_program_pb2.GetSessionKeyRequest, context: Context
    ) -> mini_program_pb2.GetSessionKeyResponse:
        await self.enter("GetSessionKey", request, context)
        return mini_program_pb2.GetSessionKeyResponse(session_key="the-key")

    async def DeleteSession(
        self, request: mini_program_pb2.DeleteSessionRequest, context: Context
    ) -> mini_program_pb2.DeleteSessionResponse:
        await self.enter("DeleteSession", request, context)
        return mini_program_pb2.DeleteSessionResponse()

    async def BuildInstallUrl(
        self, request: suite_pb2.BuildInstallUrlRequest, context: Context
    ) -> suite_pb2.BuildInstallUrlResponse:
        await self.enter("BuildInstallUrl", request, context)
        state = request.state or "made"
        url = f"https://wecom.test/install?state={state}"
        return suite_pb2.BuildInstallUrlResponse(url=url, state=state, expire_time=EXPIRY)

    async def CompleteInstallation(
        self, request: suite_pb2.CompleteInstallationRequest, context: Context
    ) -> suite_pb2.CompleteInstallationResponse:
        await self.enter("CompleteInstallation", request, context)
        return suite_pb2.CompleteInstallationResponse(authorization=self.suite_authorizations[0])

    async def ListAuthorizations(
        self, request: suite_pb2.ListAuthorizationsRequest, context: Context
    ) -> suite_pb2.ListAuthorizationsResponse:
        """Answer in pages of two."""
        await self.enter("ListAuthorizations", request, context)
        start = int(request.page_token or 0)
        return suite_pb2.ListAuthorizationsResponse(
            authorizations=self.suite_authorizations[start : start + 2],
            next_page_token=str(start + 2) if start + 2 < len(self.suite_authorizations) else "",
        )

    async def GetAuthorization(
        self, request: suite_pb2.GetAuthorizationRequest, context: Context
    ) -> suite_pb2.GetAuthorizationResponse:
        await self.enter("GetAuthorization", request, context)
        return suite_pb2.GetAuthorizationResponse(authorization=self.suite_authorizations[0])

    async def RefreshAuthorization(
        self, request: suite_pb2.RefreshAuthorizationRequest, context: Context
    ) -> suite_pb2.RefreshAuthorizationResponse:
        await self.enter("RefreshAuthorization", request, context)
        return suite_pb2.RefreshAuthorizationResponse(authorization=self.suite_authorizations[0])

    async def WatchAuthorizations(
        self, request: suite_pb2.WatchAuthorizationsRequest, context: Context
    ) -> AsyncIterator[suite_pb2.WatchAuthorizationsResponse]:
        await self.enter("WatchAuthorizations", request, context)
        for change in self.authorization_changes:
            yield change

    async def CallApi(self, request: api_pb2.CallApiRequest, context: Context) -> api_pb2.CallApiResponse:
        await self.enter("CallApi", request, context)
        return self.api_answer

    async def UploadMedia(
        self, request_iterator: AsyncIterator[api_pb2.UploadMediaRequest], context: Context
    ) -> api_pb2.UploadMediaResponse:
        first = await anext(aiter(request_iterator))
        self.uploaded = [first]
        await self.enter("UploadMedia", first, context)
        async for message in request_iterator:
            self.uploaded.append(message)
            self.changed()
        return self.upload_answer

    async def DownloadMedia(
        self, request: api_pb2.DownloadMediaRequest, context: Context
    ) -> AsyncIterator[api_pb2.DownloadMediaResponse]:
        self.open_downloads += 1
        try:
            await self.enter("DownloadMedia", request, context)
            for piece in self.pieces:
                yield piece
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.open_downloads -= 1
            self.changed()


def _config(corp_id: str, url: str) -> js_sdk_pb2.ConfigSignature:
    return js_sdk_pb2.ConfigSignature(
        corp_id=corp_id or "ww-own",
        timestamp=1_900_000_000,
        nonce_str=CORP_NONCE,
        signature=f"corp ticket, {url}",
        generation=3,
    )


def _agent_config(corp_id: str, url: str) -> js_sdk_pb2.AgentConfigSignature:
    return js_sdk_pb2.AgentConfigSignature(
        corp_id=corp_id or "ww-own",
        agent_id=1000002,
        timestamp=1_900_000_000,
        nonce_str=AGENT_NONCE,
        signature=f"agent ticket, {url}",
        generation=4,
    )


def _session(corp_id: str) -> mini_program_pb2.Session:
    return mini_program_pb2.Session(
        session_id=SESSION_ID,
        corp_id=corp_id,
        user_id="zhang",
        source_user_id="encrypted",
        converted=True,
        expire_time=EXPIRY,
    )
