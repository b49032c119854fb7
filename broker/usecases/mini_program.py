"""Sessions of mini-program users: the key stays in the broker, sealed; callers get an unguessable id."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AmbiguousTarget, InvalidRequest, SessionNotFound
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Counters
from broker.domain.ports.wecom import LoginSession, WecomUsers
from broker.domain.secret import Secret
from broker.domain.sessions import Session
from broker.protocol.mini_program import check_watermark, decrypt_data, signature_valid
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.one_time_codes import read_code, spend_code
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.targets import Targets

LIFETIME = timedelta(days=1)
"""How long a session is kept: WeCom does not say how long its key works (wecom-api H7)."""
SESSION_ID = re.compile(r"[0-9a-f]{32,64}")
SHORT = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True, slots=True)
class Watermark:
    """What decrypted data of an app must contain, if its configuration requires it."""

    app_id: str | None = None
    max_age: timedelta | None = None


class MiniProgramLogins:
    """Make, use and delete sessions."""

    def __init__(
        self,
        *,
        targets: Targets,
        shares: ShareDirectory,
        engine: CredentialEngine,
        users: WecomUsers,
        sessions: Collection[str, Session],
        counters: Counters,
        clock: Clock,
        randomness: Randomness,
        watermarks: dict[str, Watermark],
    ) -> None:
        self._targets = targets
        self._shares = shares
        self._engine = engine
        self._users = users
        self._sessions = sessions
        self._counters = counters
        self._clock = clock
        self._randomness = randomness
        self._watermarks = watermarks

    async def exchange_login_code(
        self,
        app_name: str,
        js_code: str,
        share_kind: ShareKind | None,
        check_corp: Callable[[str], None] = lambda _corp_id: None,
    ) -> Session:
        """Return the session of the user who logs in; for a child's member, the child's (wecom-api A9, A10).

        `check_corp` gets the user's corp, and raises if no session of that corp may be kept.
        Raises `CodeRejected`, `AppNotShared`, `AmbiguousTarget`, and what the engine raises.
        """
        secret = read_code("js_code", js_code)
        app = self._targets.app(app_name)
        # Without the store, the session could not be kept: this raises before the code is spent.
        await self._counters.count("session-check", LIFETIME)
        login = await spend_code(
            self._engine,
            CredentialKey.own_token(app),
            lambda token: self._users.exchange_login_code(token, secret),
        )
        check_corp(login.corp_id)
        if login.corp_id == app.corp_id:
            return await self._keep(CredentialKey.own_token(app), 0, login, "")
        child = Target(app_name, login.corp_id, share_kind)
        try:
            return await self._convert(child, login.user_id, login.session_key)
        except AmbiguousTarget as ambiguous:
            # The request has no `target` field, and its code is spent.
            field = ambiguous.metadata["field"].removeprefix("target.")
            problem = (
                f"{ambiguous.message.partition(': ')[2]}; the code is spent: log in again, and say which"
            )
            raise AmbiguousTarget(field, problem, corp_id=login.corp_id) from None

    async def convert(self, target: Target, user_id: str, session_key: str) -> Session:
        """Return the child's session for a parent's session_key that the caller holds. Raises as a login."""
        if not SHORT.fullmatch(user_id):
            raise InvalidRequest("user_id", "must be 1 to 64 visible characters")
        if not SHORT.fullmatch(session_key):
            raise InvalidRequest("session_key", "must be 1 to 64 visible characters")
        if target.corp_id in ("", self._targets.app(target.app).corp_id):
            raise InvalidRequest(
                "target.corp_id", "must be a child: the parent's session needs no conversion"
            )
        return await self._convert(target, user_id, Secret(session_key))

    async def find(self, session_id: str) -> Session:
        """Return the session; a child's ends with the share through which it was opened.

        Raises `SessionNotFound`, `StoreUnavailable`.
        """
        if not SESSION_ID.fullmatch(session_id):
            raise InvalidRequest("session_id", "is not one that the broker gave")
        session = await self._sessions.find(session_id)
        if session is None or session.expires_at <= self._clock.now() or not await self._is_shared(session):
            raise SessionNotFound("no such session, or no longer")
        return session

    def decrypt(self, session: Session, encrypted_data: str, iv: str) -> bytes:
        """Return what the mini-program sent. Raises `DataRejected`."""
        plaintext = decrypt_data(session.session_key, encrypted_data, iv)
        watermark = self._watermarks.get(session.app, Watermark())
        check_watermark(plaintext, watermark.app_id, watermark.max_age, self._clock.now())
        return plaintext

    def verify(self, session: Session, raw_data: str, signature: str) -> bool:
        """Return whether the session's key made the signature."""
        return signature_valid(session.session_key, raw_data, signature)

    async def delete(self, session_id: str) -> None:
        """Delete the session. Raises `StoreUnavailable`."""
        await self._sessions.forget(session_id, 1)

    async def _convert(self, target: Target, user_id: str, session_key: Secret) -> Session:
        app = self._targets.app(target.app)

        async def with_child(key: CredentialKey) -> tuple[CredentialKey, int, LoginSession]:
            # The listing from before WeCom is asked: a share that begins later is a different one.
            listing_fence = self._shares.fence(app, key.share_kind)
            login = await self._engine.using(
                key, lambda token: self._users.transfer_session(token, user_id, session_key)
            )
            return key, listing_fence, login

        key, listing_fence, login = await self._targets.reach(target, with_child)
        return await self._keep(key, listing_fence, login, user_id)

    async def _is_shared(self, session: Session) -> bool:
        """Return whether, by the listings, the child has the share through which the session was opened."""
        app = self._targets.app(session.app)
        if session.corp_id == app.corp_id:
            return True
        kinds = [kind for kind in app.share_kinds if session.share_kind in (kind, None)]
        listings = [await self._shares.recall(app, kind, session.listing_fence) for kind in kinds]
        return any(listing is None or session.fits(listing) for listing in listings)

    async def _keep(
        self, key: CredentialKey, listing_fence: int, login: LoginSession, source_user_id: str
    ) -> Session:
        """Keep a session under an id of its own: an earlier one of the same user keeps working."""
        expires_at = self._clock.now() + LIFETIME
        session = Session(
            self._randomness.unguessable(),
            key.app,
            key.corp_id,
            login.user_id,
            source_user_id,
            bool(source_user_id),
            login.session_key,
            expires_at,
            key.share_kind,
            key.agent_id,
            listing_fence,
        )
        await self._sessions.offer(session)
        return session
