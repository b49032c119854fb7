"""`CallbackService`: for services that keep a callback URL of their own."""

from functools import partial

from wecom_broker.v1 import callback_service_pb2 as pb
from wecom_broker.v1 import callback_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.server.grpc import event_messages, messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.usecases.callbacks.decoder import Signed
from broker.usecases.callbacks.external import ExternalCallbacks


class CallbackServicer(pb_grpc.CallbackServiceServicer):
    """Parse, ask `ExternalCallbacks`, reply; an event's corp is known only once its envelope is open."""

    def __init__(self, callbacks: ExternalCallbacks, rights: Rights) -> None:
        self._callbacks = callbacks
        self._rights = rights

    @requires(Action.CALLBACK_OPEN, of=Of.HANDLER)
    async def VerifyUrl(self, request: pb.VerifyUrlRequest, context: Context) -> pb.VerifyUrlResponse:
        """Return the plaintext that WeCom expects."""
        app = messages.app_name("app", request.app)
        corp_id = messages.corp_id("corp_id", request.corp_id)
        self._rights.grant(app, corp_id)
        signed = Signed(request.msg_signature, request.timestamp, request.nonce)
        plaintext = await self._callbacks.verify_url(
            app, signed, request.echostr, corp_id, partial(self._rights.grant, app)
        )
        return pb.VerifyUrlResponse(plaintext=plaintext)

    @requires(Action.CALLBACK_OPEN, of=Of.HANDLER)
    async def OpenEnvelope(
        self, request: pb.OpenEnvelopeRequest, context: Context
    ) -> pb.OpenEnvelopeResponse:
        """Return the event in an envelope."""
        app = messages.app_name("app", request.app)
        corp_id = messages.corp_id("corp_id", request.corp_id)
        self._rights.check_somewhere(app)
        signed = Signed(request.msg_signature, request.timestamp, request.nonce)
        event = await self._callbacks.open(
            app, signed, request.body, corp_id, partial(self._rights.grant, app)
        )
        return pb.OpenEnvelopeResponse(event=event_messages.event(event))

    @requires(Action.CALLBACK_OPEN, of=Of.HANDLER)
    async def SealReply(self, request: pb.SealReplyRequest, context: Context) -> pb.SealReplyResponse:
        """Return the body that replies to an event."""
        app = messages.app_name("app", request.app)
        corp_id = messages.corp_id("corp_id", request.corp_id)
        self._rights.grant(app, corp_id)
        body = await self._callbacks.seal_reply(app, corp_id, request.message, request.nonce)
        return pb.SealReplyResponse(body=body)
