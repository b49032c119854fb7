"""Mini-program sessions are kept no longer than the share or the authorisation by which they were opened."""

import re
from datetime import timedelta

from broker.domain.credentials import CredentialKey
from broker.domain.errors import CallerLimited, CorpNotAuthorized, InvalidRequest, SessionNotFound
from broker.domain.people.sessions import Session
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Counters, Groups
from broker.domain.ports.wecom import LoginSession
from broker.domain.secret import Secret
from broker.domain.shares import ListingKey
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Suite
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.parents import KnownAuthorizations

LIFETIME = timedelta(days=1)
"""How long a session is kept: WeCom does not say how long its key works (wecom-api H7)."""
MOST_CONVERSIONS = 100
"""How many sessions of one parent's session_key are kept in that time: callers may convert it at will."""
SESSION_ID = re.compile(r"[0-9a-f]{32,64}")


class Sessions:
    """Keep, find and delete sessions."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        authorizations: KnownAuthorizations,
        shares: ShareDirectory,
        sessions: Collection[str, Session],
        groups: Groups,
        counters: Counters,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._catalog = catalog
        self._authorizations = authorizations
        self._shares = shares
        self._sessions = sessions
        self._groups = groups
        self._counters = counters
        self._clock = clock
        self._randomness = randomness

    async def check_store(self) -> None:
        """Return if a session could be kept now. Raises `StoreUnavailable`."""
        await self._counters.count("session-check", LIFETIME)

    async def count_conversion(self, session_key: Secret) -> None:
        """Count one more session of a parent's key. Raises `CallerLimited`, `StoreUnavailable`."""
        if await self._counters.count(f"converted:{session_key.digest()}", LIFETIME) > MOST_CONVERSIONS:
            problem = f"this session_key was converted {MOST_CONVERSIONS} times: use one of those sessions"
            raise CallerLimited(problem, LIFETIME, limit="conversions")

    async def keep(
        self, key: CredentialKey, listing_fence: int, login: LoginSession, source_user_id: str
    ) -> Session:
        """Keep a session under an id of its own: an earlier one of the same user keeps working.

        Raises `StoreUnavailable`, and `CorpNotAuthorized` if the suite's corp cancelled meanwhile.
        """
        expires_at = self._clock.now() + LIFETIME
        authorization = await self._authorization(key.app, key.parent_corp_id or key.corp_id)
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
            key.parent_corp_id,
            authorization.installed_at if authorization else None,
            self._catalog.identity(key.app),
        )
        if authorization:
            # Listed first: what is kept must be found when the corp cancels.
            group = Session.group_of(key.app, authorization.corp_id)
            await self._groups.enlist(group, Session.name_of(session.session_id), expires_at)
        await self._sessions.offer(session)
        return session

    async def find(self, session_id: str) -> Session:
        """Return the session; it ends with the share or the authorisation through which it was opened.

        Raises `SessionNotFound`, `StoreUnavailable`.
        """
        if not SESSION_ID.fullmatch(session_id):
            raise InvalidRequest("session_id", "is not one that the broker gave")
        session = await self._sessions.find(session_id)
        if (
            session is None
            or session.expires_at <= self._clock.now()
            or not await self._is_reachable(session)
        ):
            raise SessionNotFound("no such session, or no longer")
        return session

    async def delete(self, session_id: str) -> None:
        """Delete the session. Raises `StoreUnavailable`."""
        await self._sessions.forget(session_id, 1)

    async def _is_reachable(self, session: Session) -> bool:
        return await self._is_authorized(session) and await self._is_shared(session)

    async def _is_authorized(self, session: Session) -> bool:
        """Return whether the authorisation is the one by which the session was opened."""
        try:
            found = await self._authorization(session.app, session.parent_corp_id or session.corp_id)
        except CorpNotAuthorized:
            return False
        return found is None or found.installed_at == session.installed_at

    async def _is_shared(self, session: Session) -> bool:
        """Return whether, by the listings, the child has the share through which the session was opened."""
        app = self._catalog.apps.get(session.app)
        parent = session.parent_corp_id or (app.corp_id if app else session.corp_id)
        if session.corp_id == parent:
            return True
        owner = app or self._catalog.suite(session.app)
        listed = [
            ListingKey(session.app, kind, session.parent_corp_id)
            for kind in owner.share_kinds
            if session.share_kind in (kind, None)
        ]
        listings = [await self._shares.recall(key, session.listing_fence) for key in listed]
        return any(listing is None or session.fits(listing) for listing in listings)

    async def _authorization(self, name: str, corp_id: str) -> Authorization | None:
        """Return the corp's authorisation; None for a self-built app. Raises `CorpNotAuthorized`."""
        owner = self._catalog.owner(name)
        return await self._authorizations.find(owner, corp_id) if isinstance(owner, Suite) else None
