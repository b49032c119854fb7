"""WeCom's endpoints about visitors, scripted by a test."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, CodeRejected, TokenRejected
from broker.domain.people.users import User, UserKind
from broker.domain.ports.wecom import LoginSession
from broker.domain.secret import Secret

Trouble = Callable[[], BrokerError]


class CountedChance:
    """Randomness that gives another word each time, but the same sequence in each run."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def jitter(self, duration: object, spread: float = 0.2) -> object:
        """Return the duration."""
        return duration

    def unguessable(self) -> str:
        """Return 32 letters and digits."""
        return f"{next(self._numbers):032x}"


@dataclass
class FakeUsers:
    """Accept some codes, count how often each is used, and fail as the script says."""

    is_alive: Callable[[Secret], bool]
    users: dict[str, User] = field(default_factory=dict)
    logins: dict[str, LoginSession] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    transfers: list[tuple[str, str, str]] = field(default_factory=list)
    """Corp of the token, user id and session_key of each transfer."""
    troubles: list[Trouble] = field(default_factory=list)
    spent: set[str] = field(default_factory=set)
    death_errcode: int = 40014

    def fail(self, trouble: Trouble, times: int = 1) -> None:
        """Make the next calls fail with this error."""
        self.troubles += [trouble] * times

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """See `WecomUsers`."""
        self._spend(token, code)
        return self.users[code.reveal()]

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """See `WecomUsers`."""
        self._spend(token, js_code)
        return self.logins[js_code.reveal()]

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """See `WecomUsers`."""
        self._take(token)
        return {"userid": user_ticket.reveal().removeprefix("ticket-of-")}

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """See `WecomUsers`."""
        corp_id = child_token.key.corp_id
        self.transfers.append((corp_id, user_id, session_key.reveal()))
        self._take(child_token)
        return LoginSession(corp_id, f"child-{user_id}", Secret(f"child-{session_key.reveal()}"))

    def _spend(self, token: Credential, code: Secret) -> None:
        value = code.reveal()
        self.sent[value] += 1
        self._take(token)
        if value in self.spent or value not in {**self.users, **self.logins}:
            raise CodeRejected("the code was used before", errcode=40029)
        self.spent.add(value)

    def _take(self, token: Credential) -> None:
        if self.troubles:
            trouble = self.troubles.pop(0)
            raise trouble()
        if not self.is_alive(token.value):
            died = TokenRejected("the token is dead", errcode=self.death_errcode)
            died.code_unread = True
            raise died


def member(corp_id: str, user_id: str, kind: UserKind = UserKind.CHILD_MEMBER) -> User:
    """Return a member."""
    return User(corp_id, user_id, kind)
