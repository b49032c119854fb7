"""To which app a mini-program is bound: WeCom may call another app's token dead (wecom-api A9)."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.errors import (
    ApiNotAuthorized,
    BrokerError,
    StoreUnavailable,
    TokenRejected,
    WecomUnavailable,
)
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Counters
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.one_time_codes import spend_code

REFUSED = "40014"
"""The errcode of a dead token, and of one whose app the mini-program is not bound to."""
NEW = timedelta(minutes=1)
"""A token that WeCom gave so lately is not dead."""
BELIEVED = timedelta(minutes=1)
"""How long such a token is not renewed for another 40014, at least: the code may be any mini-program's."""

Login = TypeVar("Login")


class Bindings:
    """Spend login codes of mini-programs, and tell a dead token from that of an app that is not bound."""

    def __init__(
        self, engine: CredentialEngine, counters: Counters, clock: Clock, cooldown: timedelta
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._clock = clock
        self._cooldown = cooldown

    async def spend(self, key: CredentialKey, call: Callable[[Credential], Awaitable[Login]]) -> Login:
        """Spend a code as `spend_code`: a token that WeCom calls dead is renewed once.

        Raises `ApiNotAuthorized` if WeCom calls the new one dead, too; at once until `BELIEVED` has passed,
        or the cooldown of forced fetches where that is longer.
        """
        if key.kind is not CredentialKind.ACCESS_TOKEN:
            # Of a suite WeCom says it with an errcode of its own (90212, wecom-api B11).
            return await spend_code(self._engine, key, call)
        died: list[TokenRejected] = []

        async def with_token(token: Credential) -> Login:
            try:
                return await call(token)
            except TokenRejected as refused:
                if refused.metadata.get("errcode") == REFUSED:
                    if await self._was_refused_anew(token):
                        raise _not_bound(refused) from None
                    died.append(refused)
                raise

        try:
            return await spend_code(self._engine, key, with_token)
        except WecomUnavailable as given_up:
            # Not where the new token could not be fetched: that error is about another call.
            if died and given_up.metadata == died[-1].metadata and await self._is_new(key):
                raise _not_bound(given_up) from None
            raise

    async def _was_refused_anew(self, token: Credential) -> bool:
        """Return whether WeCom called this one dead just after giving it."""
        name = _name(token)
        with suppress(StoreUnavailable):
            return (await self._counters.counts([name]))[name] > 0
        return False

    async def _is_new(self, key: CredentialKey) -> bool:
        """Return whether WeCom has just given the present token, and note that it was called dead."""
        token = await self._engine.get(key)
        age = self._clock.now() - token.renewed_at
        if age >= NEW:
            return False
        with suppress(StoreUnavailable):
            # Before the cooldown has passed, nothing newer could prove that it is still so.
            await self._counters.count(_name(token), max(BELIEVED, self._cooldown - age))
        return True


def _name(token: Credential) -> str:
    return f"not-bound:{token.key.name}:{token.generation}"


def _not_bound(refused: BrokerError) -> ApiNotAuthorized:
    return ApiNotAuthorized(
        "WeCom refuses for this login a token that it has just given: the mini-program is not bound to this"
        " app; an administrator must bind it in WeCom's console",
        **refused.metadata,
    )
