"""Sessions of mini-program users: the key stays in the broker, sealed; callers get an unguessable id."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.apps import App, AppKind, Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AmbiguousTarget, InvalidRequest
from broker.domain.people.sessions import Session
from broker.domain.ports.clock import Clock
from broker.domain.ports.wecom import LoginSession, WecomUsers
from broker.domain.secret import Secret
from broker.domain.shares import ListingKey
from broker.domain.suites.suite import Suite
from broker.protocol.mini_program import check_watermark, decrypt_data, signature_valid
from broker.usecases.bindings import Bindings
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.one_time_codes import read_code
from broker.usecases.login_apps import LoginApps
from broker.usecases.sessions import Sessions
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.targets import Targets

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
        apps: LoginApps,
        bindings: Bindings,
        targets: Targets,
        shares: ShareDirectory,
        engine: CredentialEngine,
        users: WecomUsers,
        sessions: Sessions,
        clock: Clock,
        watermarks: Mapping[str, Watermark],
    ) -> None:
        self._apps = apps
        self._bindings = bindings
        self._targets = targets
        self._shares = shares
        self._engine = engine
        self._users = users
        self._sessions = sessions
        self._clock = clock
        self._watermarks = watermarks

    async def exchange_login_code(
        self,
        app_name: str,
        js_code: str,
        share_kind: ShareKind | None,
        check_corp: Callable[[str], None] = lambda _corp_id: None,
        corp_id: str = "",
        *,
        agent_id: int = 0,
    ) -> Session:
        """Return the session of the user who logs in; for a child's member, the child's (wecom-api A9, A10).

        `share_kind` and `agent_id` choose among several shares with that child.
        `check_corp` gets the user's corp, and raises if no session of that corp may be kept.
        Raises `CodeRejected`, `AppNotShared`, `CorpNotAuthorized`, `AmbiguousTarget`, `InvalidRequest`, what
        the engine raises, and as `Bindings.spend` and `LoginApps.find`.
        """
        secret = read_code("js_code", js_code)
        app = await self._apps.find(app_name, corp_id)
        # Without the store, the session could not be kept: this raises before the code is spent.
        await self._sessions.check_store()
        login = await self._bindings.spend(
            app.token, lambda token: self._users.exchange_login_code(token, secret)
        )
        check_corp(login.corp_id)
        if login.corp_id == app.corp_id:
            return await self._sessions.keep(app.token, 0, login, "")
        child = Target(app_name, login.corp_id, share_kind, agent_id)
        try:
            if app.app is None:
                # Of a third-party suite the session is the corp's already (wecom-api B11).
                return await self._sessions.keep(await self._targets.locate(child), 0, login, "")
            if app.suite:
                # The session_key is the parent's own: no other corp's share will do (wecom-api A10).
                child = child._replace(parent_corp_id=app.corp_id)
            return await self._convert(child, login.user_id, login.session_key)
        except (AmbiguousTarget, InvalidRequest) as mistake:
            if not mistake.metadata["field"].startswith("target."):
                raise  # WeCom's answer: another choice would not help
            # The request has no `target` field, and its code is spent.
            field = mistake.metadata["field"].removeprefix("target.")
            problem = f"{mistake.message.partition(': ')[2]}; the code is spent: log in again, and say which"
            raise type(mistake)(field, problem, corp_id=login.corp_id) from None

    async def convert(self, target: Target, user_id: str, session_key: str) -> Session:
        """Return the child's session for a parent's session_key that the caller holds. Raises as a login."""
        if not SHORT.fullmatch(user_id):
            raise InvalidRequest("user_id", "must be 1 to 64 visible characters")
        if not SHORT.fullmatch(session_key):
            raise InvalidRequest("session_key", "must be 1 to 64 visible characters")
        owner = self._targets.owner(target.app)
        is_customized = isinstance(owner, Suite) and owner.kind is AppKind.CUSTOMIZED
        if not isinstance(owner, App) and not is_customized:
            raise InvalidRequest("target.app", "has no sessions that are converted", app=target.app)
        if target.corp_id in ("", owner.corp_id if isinstance(owner, App) else ""):
            raise InvalidRequest(
                "target.corp_id", "must be a child: the parent's session needs no conversion"
            )
        return await self._convert(target, user_id, Secret(session_key))

    async def find(self, session_id: str) -> Session:
        """See `Sessions.find`."""
        return await self._sessions.find(session_id)

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
        """See `Sessions.delete`."""
        await self._sessions.delete(session_id)

    async def _convert(self, target: Target, user_id: str, session_key: Secret) -> Session:
        async def with_child(key: CredentialKey) -> tuple[CredentialKey, int, LoginSession]:
            # The listing from before WeCom is asked: a share that begins later is a different one.
            listing_fence = self._shares.fence(ListingKey(key.app, key.share_kind, key.parent_corp_id))
            login = await self._engine.using(
                key, lambda token: self._users.transfer_session(token, user_id, session_key)
            )
            return key, listing_fence, login

        key, listing_fence, login = await self._targets.reach(target, with_child)
        # Only once WeCom has taken it: made-up keys must not fill the store with counters.
        await self._sessions.count_conversion(session_key)
        return await self._sessions.keep(key, listing_fence, login, user_id)
