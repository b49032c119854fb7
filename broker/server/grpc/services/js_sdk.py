"""`JsSdkService`: signatures for pages."""

from wecom_broker.v1 import js_sdk_service_pb2 as pb
from wecom_broker.v1 import js_sdk_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.audit import AuditTarget
from broker.domain.credentials import CredentialKind
from broker.domain.errors import InvalidRequest
from broker.server.grpc import messages, signatures
from broker.server.grpc.audit.records import Audit
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import requires
from broker.usecases.signing import Signing

KINDS = {pb.TICKET_KIND_CORP: CredentialKind.CORP_TICKET, pb.TICKET_KIND_AGENT: CredentialKind.AGENT_TICKET}


class JsSdkServicer(pb_grpc.JsSdkServiceServicer):
    """Parse, ask `Signing`, reply."""

    def __init__(self, signing: Signing, audit: Audit) -> None:
        self._signing = signing
        self._audit = audit

    @requires(Action.JSSDK_SIGN)
    async def SignPage(self, request: pb.SignPageRequest, context: Context) -> pb.SignPageResponse:
        """Sign for wx.config and wx.agentConfig."""
        config, agent = await self._signing.sign_page(messages.target(request.target), request.url)
        return signatures.page(config, agent)

    @requires(Action.JSSDK_SIGN)
    async def SignConfig(self, request: pb.SignConfigRequest, context: Context) -> pb.SignConfigResponse:
        """Sign for wx.config."""
        target = messages.target(request.target)
        signature = await self._signing.sign(target, request.url, CredentialKind.CORP_TICKET)
        return signatures.config(signature)

    @requires(Action.JSSDK_SIGN)
    async def SignAgentConfig(
        self, request: pb.SignAgentConfigRequest, context: Context
    ) -> pb.SignAgentConfigResponse:
        """Sign for wx.agentConfig."""
        target = messages.target(request.target)
        signature = await self._signing.sign(target, request.url, CredentialKind.AGENT_TICKET)
        return signatures.agent_config(signature)

    @requires(Action.JSSDK_REPORT)
    async def ReportInvalidTicket(
        self, request: pb.ReportInvalidTicketRequest, context: Context
    ) -> pb.ReportInvalidTicketResponse:
        """Replace a ticket whose signatures are refused."""
        kind = KINDS.get(request.kind)
        if kind is None:
            raise InvalidRequest("kind", "must say which ticket")
        target = messages.target(request.target)
        outcome, _ = await self._audit.reporting(
            context,
            Action.JSSDK_REPORT,
            "ReportInvalidTicket",
            AuditTarget(target.app, target.corp_id, kind),
            request.generation,
            self._signing.report(
                target, kind, request.generation, request.errcode, current_caller.get().name
            ),
        )
        return pb.ReportInvalidTicketResponse(outcome=messages.OUTCOMES[outcome])
