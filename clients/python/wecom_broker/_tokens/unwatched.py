"""Tokens without a watch, where the broker allows this service no more of them."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from wecom_broker._spans import span
from wecom_broker._tokens.access_token import AccessToken
from wecom_broker._tokens.succession import stays

if TYPE_CHECKING:
    from collections.abc import Hashable

    from wecom_broker._spans import Span
    from wecom_broker._target import Target
    from wecom_broker._tokens.lifetimes import Lifetimes, TokenAnswer

KEPT_SECONDS = 60.0
"""How long a token serves without a call of the broker, and how long no further watch is tried."""


class Kept(NamedTuple):
    """A token, until when it serves without a call of the broker, and when it expires."""

    token: AccessToken
    until: float
    expires_at: float


class UnwatchedTokens:
    """The tokens that came by a call. All methods but `valid` belong to the event loop."""

    def __init__(self, lifetimes: Lifetimes) -> None:
        """Start empty."""
        self._lifetimes = lifetimes
        self._until = -inf
        self._held: dict[Hashable, Kept] = {}

    def begin(self) -> None:
        """Try no watch for a while: the broker refused one."""
        now = self._lifetimes.now()
        self._held = {key: kept for key, kept in self._held.items() if now < kept.expires_at}
        self._until = now + KEPT_SECONDS

    @property
    def are_kept(self) -> bool:
        """Whether the broker refused a watch a moment ago."""
        return self._lifetimes.now() < self._until

    def valid(self, key: Hashable, min_ttl: Span | None) -> AccessToken | None:
        """Return the token if it serves without a call, and stays valid for `min_ttl`, else None.

        Any thread may ask.
        """
        kept = self._held.get(key)
        if kept is None:
            return None
        least = 0.0 if min_ttl is None else span("min_ttl", min_ttl).total_seconds()
        now = self._lifetimes.now()
        return kept.token if now < kept.until and now + least < kept.expires_at else None

    def unexpired(self, key: Hashable) -> AccessToken | None:
        """Return the token if it has not expired, for when the broker gives no other."""
        kept = self._held.get(key)
        return kept.token if kept is not None and self._lifetimes.now() < kept.expires_at else None

    def keep(self, answer: TokenAnswer, target: Target, refused: AccessToken | None = None) -> AccessToken:
        """Keep a token that has just arrived unless a newer one is held; return the held one.

        `refused` is the token whose report the answer is for.
        """
        held = self.valid(target, None)
        token = AccessToken.from_proto(answer.token, target)
        if held is not None and stays(held, token, refused):
            return held
        if self.are_kept or target in self._held:
            until = self._lifetimes.now() + KEPT_SECONDS
            self._held[target] = Kept(token, until, self._lifetimes.end_of(answer))
        return token

    def forget(self, target: Target) -> None:
        """Forget the token of a target that is watched from now on, or refused for good."""
        self._held.pop(target, None)

    def close(self) -> None:
        """Forget everything."""
        self._held.clear()
