"""Access tokens by target: find whose credential is meant, and let the engine hand it out."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta

from broker.domain.corps import App, AppShare, Target
from broker.domain.credentials import NO_TIME, Credential, CredentialKey
from broker.domain.errors import (
    AmbiguousTarget,
    AppNotShared,
    InvalidRequest,
    UnknownApp,
)
from broker.usecases.app_shares import AppShares
from broker.usecases.credential_engine import CredentialEngine, Replacement
from broker.usecases.errand import begin_errand

DEAD_TOKEN_CODES = frozenset({40014, 42001})
"""What WeCom says of a dead token (wecom-api D); 0 = the caller does not know."""

REMEMBERED = 50_000
"""Targets whose credential is known without a look, at most."""


class AccessTokens:
    """Tokens of parents and children, for callers who know an app's name and a corp id only."""

    def __init__(self, apps: Mapping[str, App], shares: AppShares, engine: CredentialEngine) -> None:
        self._apps = apps
        self._shares = shares
        self._engine = engine
        self._located: dict[Target, CredentialKey] = {}
        self._located_version = -1

    def app(self, name: str) -> App:
        """Return the configured app. Raises `UnknownApp`."""
        app = self._apps.get(name)
        if app is None:
            raise UnknownApp("no app of that name is configured", app=name)
        return app

    async def get(self, target: Target, min_ttl: timedelta = NO_TIME) -> Credential:
        """Return a valid token, with `min_ttl` left where WeCom has one that long.

        Raises `UnknownApp`, `AppNotShared`, `AmbiguousTarget`, `InvalidRequest`, and what the engine raises.
        """
        if min_ttl < NO_TIME:
            raise InvalidRequest("min_ttl", "must not be negative")
        begin_errand()
        key = await self.locate(target)
        try:
            return await self._engine.get(key, min_ttl)
        except AppNotShared:
            return await self._engine.get(await self._locate_anew(target, key), min_ttl)

    async def watch(self, target: Target) -> AsyncGenerator[Credential, None]:
        """Yield the current token, then each rotation. Raises as `get`."""
        await self.get(target)
        key = await self.locate(target)
        async with aclosing(self._engine.watch(key)) as credentials:
            async for credential in credentials:
                yield credential

    async def report(self, target: Target, generation: int, errcode: int) -> tuple[Replacement, Credential]:
        """Replace a token that WeCom called dead, if it is still the current one. Raises as `get`."""
        if generation <= 0:
            raise InvalidRequest("generation", "must be the generation of the refused token")
        if errcode and errcode not in DEAD_TOKEN_CODES:
            raise InvalidRequest("errcode", f"{errcode} does not say that a token is dead; 40014 and 42001 do")
        begin_errand()
        return await self._engine.replace(await self.locate(target), generation)

    async def refresh(self, target: Target) -> tuple[bool, Credential]:
        """Fetch anew for an operator; tell whether the value changed. Raises as `get`."""
        begin_errand()
        return await self._engine.refresh(await self.locate(target))

    async def locate(self, target: Target) -> CredentialKey:
        """Return the credential that is meant; asks WeCom only where the child is unknown."""
        if self._located_version != self._shares.version:
            self._located.clear()
            self._located_version = self._shares.version
        key = self._located.get(target)
        if key is None:
            key = await self._locate(target)
            if self._located_version == self._shares.version and len(self._located) < REMEMBERED:
                self._located[target] = key
        return key

    async def _locate(self, target: Target) -> CredentialKey:
        app = self.app(target.app)
        if target.corp_id in ("", app.corp_id):
            if target.agent_id not in (0, app.agent_id):
                raise InvalidRequest("target.agent_id", "is not the app's own agent id")
            return CredentialKey.own_token(app)
        found = self._shares.known(app, target.corp_id, target.share_kind)
        if not found:
            found = await self._shares.find(app, target.corp_id, target.share_kind)
        return CredentialKey.child_token(app, _the_one(target, app, found))

    async def _locate_anew(self, target: Target, refused: CredentialKey) -> CredentialKey:
        """List again after WeCom said 670001: the child may have the app under another agent id by now."""
        app = self.app(target.app)
        await self._shares.recheck(app, refused.corp_id, refused.share_kind)
        key = await self.locate(target)
        if key == refused:
            raise _not_shared(target, app)
        return key


def _the_one(target: Target, app: App, found: list[AppShare]) -> AppShare:
    if target.agent_id:
        found = [share for share in found if share.agent_id == target.agent_id]
    if not found:
        raise _not_shared(target, app)
    if len({share.share_kind for share in found}) > 1:
        raise AmbiguousTarget("target.share_kind", "the child has the app through both kinds of share")
    if len(found) > 1:
        agents = ", ".join(str(share.agent_id) for share in found)
        raise AmbiguousTarget("target.agent_id", f"the child has the app under several agent ids: {agents}")
    return found[0]


def _not_shared(target: Target, app: App) -> AppNotShared:
    kinds = ", ".join(app.share_kinds)
    return AppNotShared(
        "the app is not shared with this corp",
        app=app.name,
        corp_id=target.corp_id,
        listed_kinds=kinds,
    )
