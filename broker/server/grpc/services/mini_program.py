"""`MiniProgramService`: sessions whose keys stay in the broker."""

from wecom_broker.v1 import mini_program_service_pb2 as pb
from wecom_broker.v1 import mini_program_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.people.sessions import Session
from broker.server.grpc import messages
from broker.server.grpc.audit.records import Audit
from broker.server.grpc.context import Context
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.usecases.mini_program import MiniProgramLogins


class MiniProgramServicer(pb_grpc.MiniProgramServiceServicer):
    """Parse, ask `MiniProgramLogins`, reply; a session's app and corp decide who may use it."""

    def __init__(self, sessions: MiniProgramLogins, rights: Rights, audit: Audit) -> None:
        self._sessions = sessions
        self._audit = audit
        self._rights = rights

    @requires(Action.MINIPROGRAM_SESSION, of=Of.HANDLER)
    async def ExchangeLoginCode(
        self, request: pb.ExchangeLoginCodeRequest, context: Context
    ) -> pb.ExchangeLoginCodeResponse:
        """Return the session of the user who logged in."""
        app = messages.app_name("app", request.app)
        kind = messages.share_kind("share_kind", request.share_kind)
        # Only the answer names the corp; a caller without rights for any corp must not use up a code.
        self._rights.check_somewhere(app)
        session = await self._sessions.exchange_login_code(
            app,
            request.js_code,
            kind,
            lambda corp_id: self._rights.grant(app, corp_id),
            messages.corp_id("corp_id", request.corp_id),
            agent_id=messages.agent_id("agent_id", request.agent_id),
        )
        return pb.ExchangeLoginCodeResponse(session=_session(session))

    @requires(Action.MINIPROGRAM_SESSION)
    async def ConvertSession(
        self, request: pb.ConvertSessionRequest, context: Context
    ) -> pb.ConvertSessionResponse:
        """Return the child's session."""
        target = messages.target(request.target)
        session = await self._sessions.convert(target, request.user_id, request.session_key)
        return pb.ConvertSessionResponse(session=_session(session))

    @requires(Action.MINIPROGRAM_SESSION, of=Of.HANDLER)
    async def DecryptData(self, request: pb.DecryptDataRequest, context: Context) -> pb.DecryptDataResponse:
        """Return the decrypted data."""
        session = await self._usable(request.session_id)
        plaintext = self._sessions.decrypt(session, request.encrypted_data, request.iv)
        return pb.DecryptDataResponse(plaintext=plaintext)

    @requires(Action.MINIPROGRAM_SESSION, of=Of.HANDLER)
    async def VerifySignature(
        self, request: pb.VerifySignatureRequest, context: Context
    ) -> pb.VerifySignatureResponse:
        """Return whether the session's key made the signature."""
        session = await self._usable(request.session_id)
        valid = self._sessions.verify(session, request.raw_data, request.signature)
        return pb.VerifySignatureResponse(valid=valid)

    @requires(Action.MINIPROGRAM_SESSION_KEY, of=Of.HANDLER)
    async def GetSessionKey(
        self, request: pb.GetSessionKeyRequest, context: Context
    ) -> pb.GetSessionKeyResponse:
        """Return the key itself."""
        session = await self._usable(request.session_id)
        self._audit.session_key(context, session)
        return pb.GetSessionKeyResponse(session_key=session.session_key.reveal())

    @requires(Action.MINIPROGRAM_SESSION, of=Of.HANDLER)
    async def DeleteSession(
        self, request: pb.DeleteSessionRequest, context: Context
    ) -> pb.DeleteSessionResponse:
        """Delete the session."""
        await self._usable(request.session_id)
        await self._sessions.delete(request.session_id)
        return pb.DeleteSessionResponse()

    async def _usable(self, session_id: str) -> Session:
        """Return a session that the caller may use. Raises `SessionNotFound`, `CallerNotAllowed`."""
        self._rights.check_somewhere()
        session = await self._sessions.find(session_id)
        self._rights.grant(session.app, session.corp_id)
        return session


def _session(session: Session) -> pb.Session:
    return pb.Session(
        session_id=session.session_id,
        corp_id=session.corp_id,
        user_id=session.user_id,
        source_user_id=session.source_user_id,
        converted=session.converted,
        expire_time=session.expires_at,
    )
