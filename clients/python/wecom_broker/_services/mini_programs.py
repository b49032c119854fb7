"""Sessions of mini-program users. Their keys stay in the broker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from wecom_broker._target import SHARE_KIND_NUMBERS, ShareKind, Target, corp_of
from wecom_broker.v1 import mini_program_service_pb2 as pb

if TYPE_CHECKING:
    from wecom_broker._connection.connection import Connection

_SHOWN = 4
"""How many characters of a session id are shown: enough to recognise it, too few to use it."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user's session. Anybody with the `session_id` can use it, so the repr does not show it in full."""

    session_id: str
    corp_id: str
    """The user's corp."""
    user_id: str
    """The user's id in that corp."""
    source_user_id: str
    """The id before conversion; empty if it was not converted."""
    converted: bool
    """Whether it is a child's session that was made from the parent's."""
    expire_time: datetime
    """When the broker forgets it."""

    def __repr__(self) -> str:
        """Show what may be logged."""
        return (
            f"{type(self).__qualname__}(session_id='{self.session_id[:_SHOWN]}…', corp_id={self.corp_id!r}, "
            f"user_id={self.user_id!r}, source_user_id={self.source_user_id!r}, "
            f"converted={self.converted!r}, expire_time={self.expire_time!r})"
        )

    @classmethod
    def from_proto(cls, message: pb.Session) -> Self:
        """Return the session of a message."""
        return cls(
            session_id=message.session_id,
            corp_id=message.corp_id,
            user_id=message.user_id,
            source_user_id=message.source_user_id,
            converted=message.converted,
            expire_time=message.expire_time.ToDatetime(UTC),
        )


class MiniPrograms:
    """The part of the client for mini-programs (小程序). Methods take a `Session` or its id."""

    _connection: Connection

    async def mini_program_login(
        self,
        app: str,
        js_code: str,
        *,
        share_kind: ShareKind | str | None = None,
        corp: str = "",
        agent_id: int = 0,
        corp_id: None = None,
    ) -> Session:
        """Exchange the code of `wx.qy.login` for the user's session; a child's member gets the child's.

        A code works once, so it is sent once: after any error, have the mini-program log in again.
        A 代开发 app that several corps have authorised needs the `corp` whose app it is; a child that has
        the app through both kinds or under several agent ids, `share_kind` or `agent_id`. Raises
        CodeRejected, BrokerError.
        """
        kind = None if share_kind is None else ShareKind(share_kind)
        request = pb.ExchangeLoginCodeRequest(
            app=app,
            js_code=js_code,
            share_kind=SHARE_KIND_NUMBERS[kind],
            corp_id=corp_of(corp, corp_id),
            agent_id=agent_id,
        )
        response = await self._connection.call(
            self._connection.stubs.mini_programs.ExchangeLoginCode, request
        )
        return Session.from_proto(response.session)

    async def convert_session(
        self,
        app: str,
        corp: str,
        *,
        user_id: str,
        session_key: str,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        corp_id: None = None,
    ) -> Session:
        """Turn the parent's session, whose key the caller already has, into that of the child `corp`.

        `user_id` is the encrypted one that came with the parent's session. Raises BrokerError.
        """
        request = pb.ConvertSessionRequest(
            target=Target.of(app, corp, share_kind, agent_id, corp_id).to_proto(),
            user_id=user_id,
            session_key=session_key,
        )
        response = await self._connection.call(self._connection.stubs.mini_programs.ConvertSession, request)
        return Session.from_proto(response.session)

    async def decrypt_data(self, session: Session | str, encrypted_data: str, iv: str) -> bytes:
        """Decrypt what the mini-program sent: `encryptedData` and `iv`, in base64 as received.

        Raises SessionNotFound, DataRejected, BrokerError.
        """
        request = pb.DecryptDataRequest(session_id=_id_of(session), encrypted_data=encrypted_data, iv=iv)
        response = await self._connection.call(self._connection.stubs.mini_programs.DecryptData, request)
        return response.plaintext

    async def verify_signature(self, session: Session | str, raw_data: str, signature: str) -> bool:
        """Return whether the session's key signed `raw_data`, the text as received.

        Raises SessionNotFound, BrokerError.
        """
        request = pb.VerifySignatureRequest(
            session_id=_id_of(session), raw_data=raw_data, signature=signature
        )
        response = await self._connection.call(self._connection.stubs.mini_programs.VerifySignature, request)
        return response.valid

    async def session_key(self, session: Session | str) -> str:
        """Return the session_key itself, in base64: a secret that few callers need or are allowed to read.

        Raises SessionNotFound, CallerNotAllowed, BrokerError.
        """
        request = pb.GetSessionKeyRequest(session_id=_id_of(session))
        response = await self._connection.call(self._connection.stubs.mini_programs.GetSessionKey, request)
        return response.session_key

    async def delete_session(self, session: Session | str) -> None:
        """Have the broker forget the session. Raises SessionNotFound, BrokerError."""
        request = pb.DeleteSessionRequest(session_id=_id_of(session))
        await self._connection.call(self._connection.stubs.mini_programs.DeleteSession, request)


def _id_of(session: Session | str) -> str:
    return session.session_id if isinstance(session, Session) else session
