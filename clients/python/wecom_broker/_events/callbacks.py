"""For services that have a callback URL of their own: the broker has the keys and knows the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wecom_broker._events.event import Event
from wecom_broker._target import corp_of
from wecom_broker.v1 import callback_service_pb2 as pb

if TYPE_CHECKING:
    from wecom_broker._connection.connection import Connection


class Callbacks:
    """The part of the client that opens what WeCom sends to a callback URL, and seals the reply."""

    _connection: Connection

    async def verify_url(
        self,
        app: str,
        *,
        msg_signature: str,
        timestamp: str,
        nonce: str,
        echostr: str,
        corp: str = "",
        corp_id: None = None,
    ) -> bytes:
        """Check a URL verification (GET); return the whole answer, which WeCom expects within a second.

        The keyword arguments are the parameters of the query, URL-decoded once, and `corp`, the client whose
        URL of a 代开发 app it is. Raises BrokerError.
        """
        request = pb.VerifyUrlRequest(
            app=app,
            msg_signature=msg_signature,
            timestamp=timestamp,
            nonce=nonce,
            echostr=echostr,
            corp_id=corp_of(corp, corp_id),
        )
        response = await self._connection.call(self._connection.stubs.callbacks.VerifyUrl, request)
        return response.plaintext

    async def open_envelope(
        self,
        app: str,
        body: bytes,
        *,
        msg_signature: str,
        timestamp: str,
        nonce: str,
        corp: str = "",
        corp_id: None = None,
    ) -> Event:
        """Check and open what WeCom posted: the unchanged body, and three parameters of the query.

        `corp` is the client whose URL of a 代开发 app it was posted to. The broker does not store the event:
        it has no id, and repeats are not detected. Raises BrokerError.
        """
        request = pb.OpenEnvelopeRequest(
            app=app,
            msg_signature=msg_signature,
            timestamp=timestamp,
            nonce=nonce,
            body=body,
            corp_id=corp_of(corp, corp_id),
        )
        response = await self._connection.call(self._connection.stubs.callbacks.OpenEnvelope, request)
        return Event.from_proto(response.event)

    async def seal_reply(
        self, app: str, message: str, corp: str = "", *, nonce: str = "", corp_id: None = None
    ) -> bytes:
        """Seal a passive reply (被动回复), XML or a robot's JSON; the result is the answer to the POST.

        `corp` is the corp of the event that is replied to; empty means the app's own, which a suite lacks. A
        robot (智能机器人) expects the `nonce` of the callback; empty means a new one. Raises BrokerError.
        """
        request = pb.SealReplyRequest(app=app, corp_id=corp_of(corp, corp_id), message=message, nonce=nonce)
        response = await self._connection.call(self._connection.stubs.callbacks.SealReply, request)
        return response.body
