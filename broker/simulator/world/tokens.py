"""Tokens: how they are granted, how they expire, and how they die before their expiry."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from broker.simulator.world.corps import AppId
from broker.simulator.world.shares import Owner


class Habit(Enum):
    """Name what a repeated fetch returns while the last token is valid; WeCom promises none of these."""

    SAME_VALUE_FULL_LIFETIME = "same_value_full_lifetime"
    SAME_VALUE_REMAINING = "same_value_remaining"
    NEW_VALUE_OLD_ALIVE = "new_value_old_alive"
    NEW_VALUE_KILLS_OLD = "new_value_kills_old"


class Death(Enum):
    """Name why a token died before its expiry."""

    KILLED = "killed"
    REPLACED = "replaced"
    UNSHARED = "unshared"


@dataclass(frozen=True, slots=True)
class TokenKind:
    """Hold WeCom's name for one kind of token, and the errcodes about it."""

    query_name: str
    missing: int
    invalid: int


AppToken = TokenKind("access_token", missing=41001, invalid=40014)
SuiteToken = TokenKind("suite_access_token", missing=41022, invalid=40082)
# Which code a missing provider_access_token has is not documented.
ProviderToken = TokenKind("provider_access_token", missing=41022, invalid=40082)


@dataclass(slots=True)
class Token:
    """Hold one token that was handed out."""

    value: str = field(repr=False)
    kind: TokenKind
    owner: Owner
    issued_at: float
    expires_at: float
    death: Death | None = None

    def alive(self, now: float) -> bool:
        """Return whether WeCom still takes it."""
        return self.death is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Grant:
    """Hold the answer to a fetch; the lifetime that it claims may be longer than the token's."""

    token: Token
    claimed_seconds: float

    @property
    def expires_in(self) -> int:
        """Return the claimed lifetime as WeCom writes it, in whole seconds."""
        return max(1, int(self.claimed_seconds))


class TokenBook:
    """Remember every token, dead or alive, to distinguish an expired one from an invented one."""

    def __init__(self, mint: Callable[[], str]) -> None:
        self._mint = mint
        self._by_value: dict[str, Token] = {}
        self._of_app: dict[AppId, list[Token]] = {}
        self._latest: dict[Owner, Token] = {}

    def find(self, value: str) -> Token | None:
        """Find a token by its value."""
        return self._by_value.get(value)

    def latest(self, owner: Owner) -> Token | None:
        """Return the token that was handed out last."""
        return self._latest.get(owner)

    def alive(self, app: AppId, now: float) -> list[Token]:
        """List the living tokens of an app, oldest first."""
        living = self._of_app[app] = [token for token in self._of_app.get(app, []) if token.alive(now)]
        return list(living)

    def grant(
        self,
        kind: TokenKind,
        owner: Owner,
        *,
        habit: Habit,
        now: float,
        lifetime: float,
        old_value_alive: float | None = None,
    ) -> Grant:
        """Answer a fetch by habit; `old_value_alive` limits a replaced token's remaining life, in seconds."""
        last = self._latest.get(owner)
        if last is not None and last.alive(now):
            if habit is Habit.SAME_VALUE_FULL_LIFETIME:
                return Grant(last, last.expires_at - last.issued_at)
            if habit is Habit.SAME_VALUE_REMAINING:
                return Grant(last, last.expires_at - now)
            if habit is Habit.NEW_VALUE_OLD_ALIVE and old_value_alive is not None:
                last.expires_at = min(last.expires_at, now + old_value_alive)
        if habit is Habit.NEW_VALUE_KILLS_OLD:
            self._end([token for token in self.alive(owner.app, now) if token.owner == owner], Death.REPLACED)
        return Grant(self._issue(kind, owner, now, lifetime), lifetime)

    def kill(self, value: str) -> bool:
        """Kill one token early; return whether it was known."""
        token = self._by_value.get(value)
        if token is not None:
            self._end([token], Death.KILLED)
        return token is not None

    def kill_app(self, app: AppId, now: float) -> int:
        """Kill every living token of an app; return how many."""
        return self._end(self.alive(app, now), Death.KILLED)

    def kill_derived(self, owner: Owner, now: float) -> int:
        """Kill the living tokens that were derived through an ended share; return how many."""
        return self._end(
            [token for token in self.alive(owner.app, now) if token.owner == owner], Death.UNSHARED
        )

    def _issue(self, kind: TokenKind, owner: Owner, now: float, lifetime: float) -> Token:
        token = Token(self._mint(), kind, owner, issued_at=now, expires_at=now + lifetime)
        self._by_value[token.value] = token
        self._of_app.setdefault(owner.app, []).append(token)
        self._latest[owner] = token
        return token

    @staticmethod
    def _end(tokens: list[Token], death: Death) -> int:
        for token in tokens:
            token.death = death
        return len(tokens)
