"""Logins: codes of web pages and mini-programs, and what they are exchanged for."""

from dataclasses import dataclass, field
from enum import Enum

from broker.simulator.answers import Refusal
from broker.simulator.world.corps import AppId
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import Owner


class CodeKind(Enum):
    """Name where a code comes from: WeCom's authorize link, or wx.qy.login()."""

    OAUTH = "oauth"
    JS = "js"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Hold who logged in: a member, perhaps of a child through a share; or somebody with other ids only."""

    owner: Owner | None = None
    userid: str = ""
    openid: str = ""
    external_userid: str = ""


@dataclass(slots=True)
class LoginCode:
    """Hold one code; it belongs to the app whose link was followed."""

    value: str = field(repr=False)
    kind: CodeKind
    app: AppId
    visitor: Visitor
    expires_at: float
    privateinfo: bool = False
    used: bool = False


@dataclass(frozen=True, slots=True)
class UserTicket:
    """Hold a user_ticket: the right to read one member's profile."""

    app: AppId
    corpid: str
    userid: str
    expires_at: float


@dataclass(slots=True)
class MiniSession:
    """Hold the session of a mini-program's user; the child's session is made from it once."""

    app: AppId
    visitor: Visitor
    session_key: str = field(repr=False)
    child_session_key: str = field(default="", repr=False)


class Logins:
    """Hold codes, user_tickets and sessions."""

    def __init__(self, settings: Settings, randomness: Randomness) -> None:
        self._settings = settings
        self._randomness = randomness
        self._codes: dict[str, LoginCode] = {}
        self._tickets: dict[str, UserTicket] = {}
        self._sessions: dict[str, MiniSession] = {}

    def add_code(
        self, kind: CodeKind, app: AppId, visitor: Visitor, now: float, *, privateinfo: bool = False
    ) -> str:
        """Log somebody in, and return the code that the page or the mini-program gets."""
        code = LoginCode(
            self._randomness.code(), kind, app, visitor, now + self._settings.code_lifetime, privateinfo
        )
        self._codes[code.value] = code
        return code.value

    def spend_code(
        self, kind: CodeKind, value: str, owner: Owner, now: float, *, another_app: int = 40029
    ) -> LoginCode:
        """Consume a code of the token's own app; the refusal to another app does not consume it."""
        code = self._codes.get(value)
        if code is None or code.kind is not kind:
            raise Refusal(40029)
        if owner.parent is not None or code.app != owner.app:
            raise Refusal(another_app)
        if code.used:
            raise Refusal(self._settings.used_code_errcode)
        if now >= code.expires_at:
            raise Refusal(self._settings.expired_code_errcode)
        code.used = True
        return code

    def add_user_ticket(self, app: AppId, userid: str, now: float) -> str:
        """Return a ticket for the profile of a member of the app's own corp."""
        return self._add_ticket(
            UserTicket(app, app.corpid, userid, now + self._settings.user_ticket_lifetime)
        )

    def add_suite_user_ticket(self, suite: AppId, corpid: str, userid: str, now: float) -> str:
        """Return a ticket for the profile of a member of a corp that authorised the suite."""
        expires_at = now + self._settings.suite_user_ticket_lifetime
        return self._add_ticket(UserTicket(suite, corpid, userid, expires_at))

    def user_ticket(self, value: str, owner: Owner, now: float) -> UserTicket:
        """Find a ticket of the token's own app; it may be used again until it expires."""
        ticket = self._tickets.get(value)
        if ticket is None or ticket.app != owner.app:
            raise Refusal(84015)
        if now >= ticket.expires_at:
            raise Refusal(84014)
        return ticket

    def open_session(self, code: LoginCode) -> MiniSession:
        """Open the session of a js_code."""
        if self._settings.new_session_ends_last:
            self._end_sessions(code.app, code.visitor)
        session = MiniSession(code.app, code.visitor, self._randomness.session_key())
        self._sessions[session.session_key] = session
        return session

    def session(self, session_key: str) -> MiniSession:
        """Find a session by the parent's key."""
        if (session := self._sessions.get(session_key)) is None:
            raise Refusal(42013)
        return session

    def transfer(self, session: MiniSession) -> str:
        """Return the child's key of a session; a repeat returns the same."""
        session.child_session_key = session.child_session_key or self._randomness.session_key()
        return session.child_session_key

    def latest_session(self, corpid: str, userid: str) -> MiniSession:
        """Return the session that a member opened last. Raises LookupError."""
        for session in reversed(self._sessions.values()):
            owner = session.visitor.owner
            if owner and owner.app.corpid == corpid and session.visitor.userid.lower() == userid.lower():
                return session
        raise LookupError(f"{userid} of {corpid} opened no session")

    def _add_ticket(self, ticket: UserTicket) -> str:
        value = self._randomness.user_ticket()
        self._tickets[value] = ticket
        return value

    def _end_sessions(self, app: AppId, visitor: Visitor) -> None:
        of_visitor = [
            key for key, known in self._sessions.items() if (known.app, known.visitor) == (app, visitor)
        ]
        for key in of_visitor:
            del self._sessions[key]
