"""Signatures for pages that use WeCom's JS-SDK."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from wecom_broker._target import ShareKind, Target
from wecom_broker.v1 import js_sdk_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2

if TYPE_CHECKING:
    from wecom_broker._connection.connection import Connection


@dataclass(frozen=True, slots=True)
class Signature:
    """What `wx.config` or `wx.agentConfig` needs, or a function of ww.register like `getConfigSignature`."""

    corp_id: str
    """The corp that is signed for, for a child's user the child: the front end's `appId` or `corpId`."""
    timestamp: int
    """Seconds since 1970."""
    nonce_str: str
    signature: str
    generation: int
    """The generation of the ticket that signed."""
    target: Target
    """The target that it was requested for."""
    agent_id: int = 0
    """The app's agent id in that corp, for `wx.agentConfig`; 0 for `wx.config`, which has none."""

    @classmethod
    def from_proto(cls, message: pb.ConfigSignature | pb.AgentConfigSignature, target: Target) -> Self:
        """Return the signature in a message for the target."""
        return cls(
            corp_id=message.corp_id,
            timestamp=message.timestamp,
            nonce_str=message.nonce_str,
            signature=message.signature,
            generation=message.generation,
            target=target,
            agent_id=message.agent_id if isinstance(message, pb.AgentConfigSignature) else 0,
        )


ConfigSignature = Signature
"""The name that the signature for `wx.config` had until the two kinds became one."""
AgentConfigSignature = Signature
"""The name that the signature for `wx.agentConfig` had until then."""


@dataclass(frozen=True, slots=True)
class PageSignature:
    """Both signatures of one page."""

    config: Signature
    agent_config: Signature


class ReportOutcome(StrEnum):
    """The outcome of a report of a refused ticket."""

    ROTATED = "rotated"
    """The broker has a new ticket because of this report."""
    ALREADY_ROTATED = "already_rotated"
    """The ticket had been replaced already."""
    UNCHANGED = "unchanged"
    """WeCom was asked and gave the same ticket again."""
    COOLING_DOWN = "cooling_down"
    """The ticket was replaced because of a report a moment ago."""


class JsSdk:
    """The part of the client that signs pages for the JS-SDK."""

    _connection: Connection

    async def sign_page(
        self,
        app: str,
        url: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        corp_id: None = None,
    ) -> PageSignature:
        """Sign a page for `wx.config` and `wx.agentConfig`.

        `url` is the page's whole URL as the browser has it; the part from `#` on is ignored.
        `corp` is the corp of the user who looks at it; empty means the app's own. Raises BrokerError.
        """
        target = Target.of(app, corp, share_kind, agent_id, corp_id)
        request = pb.SignPageRequest(target=target.to_proto(), url=url)
        response = await self._connection.call(self._connection.stubs.js_sdk.SignPage, request)
        return PageSignature(
            Signature.from_proto(response.config, target),
            Signature.from_proto(response.agent_config, target),
        )

    async def sign_config(
        self,
        app: str,
        url: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        corp_id: None = None,
    ) -> Signature:
        """Sign a page for `wx.config` alone. Raises BrokerError."""
        target = Target.of(app, corp, share_kind, agent_id, corp_id)
        request = pb.SignConfigRequest(target=target.to_proto(), url=url)
        response = await self._connection.call(self._connection.stubs.js_sdk.SignConfig, request)
        return Signature.from_proto(response.config, target)

    async def sign_agent_config(
        self,
        app: str,
        url: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        corp_id: None = None,
    ) -> Signature:
        """Sign a page for `wx.agentConfig` alone. Raises BrokerError."""
        target = Target.of(app, corp, share_kind, agent_id, corp_id)
        request = pb.SignAgentConfigRequest(target=target.to_proto(), url=url)
        response = await self._connection.call(self._connection.stubs.js_sdk.SignAgentConfig, request)
        return Signature.from_proto(response.agent_config, target)

    async def ticket_rejected(
        self,
        signature: Signature,
        errcode: int,
    ) -> ReportOutcome | None:
        """Report that WeCom refused the signature's ticket, with 40093 or 42012; then sign the page again.

        Returns None for an outcome that is newer than this client. Raises BrokerError.
        """
        request = pb.ReportInvalidTicketRequest(
            target=signature.target.to_proto(),
            kind=pb.TICKET_KIND_AGENT if signature.agent_id else pb.TICKET_KIND_CORP,
            generation=signature.generation,
            errcode=errcode,
        )
        response = await self._connection.call(self._connection.stubs.js_sdk.ReportInvalidTicket, request)
        return _OUTCOMES.get(response.outcome)


_OUTCOMES: dict[int, ReportOutcome] = {
    token_service_pb2.REPORT_OUTCOME_ROTATED: ReportOutcome.ROTATED,
    token_service_pb2.REPORT_OUTCOME_ALREADY_ROTATED: ReportOutcome.ALREADY_ROTATED,
    token_service_pb2.REPORT_OUTCOME_UNCHANGED: ReportOutcome.UNCHANGED,
    token_service_pb2.REPORT_OUTCOME_COOLING_DOWN: ReportOutcome.COOLING_DOWN,
}
