"""Whose credential a caller means: an app's own, or one of a child that the app is shared with."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from broker.domain.apps import NO_AGENT, App, Target
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AmbiguousTarget, AppNotShared, InvalidRequest, UnknownApp
from broker.domain.shares import AppShare
from broker.usecases.shares.directory import ShareDirectory

REMEMBERED = 50_000
"""How many targets' keys are cached at most."""

Result = TypeVar("Result")


class Targets:
    """Find the access token's key of a target; other credentials' keys follow from it."""

    def __init__(self, apps: Mapping[str, App], shares: ShareDirectory) -> None:
        self._apps = apps
        self._shares = shares
        self._located: dict[Target, CredentialKey] = {}
        self._located_version = -1

    def app(self, name: str) -> App:
        """Return the configured app. Raises `UnknownApp`."""
        app = self._apps.get(name)
        if app is None:
            raise UnknownApp("no app of that name is configured", app=name)
        return app

    async def locate(self, target: Target) -> CredentialKey:
        """Return the key of the credential that is meant; asks WeCom only if the child is unknown."""
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

    async def reach(self, target: Target, act: Callable[[CredentialKey], Awaitable[Result]]) -> Result:
        """Act with the key of the target's token; where WeCom says 670001, list again and act once more."""
        key = await self.locate(target)
        try:
            return await act(key)
        except AppNotShared:
            return await act(await self._locate_anew(target, key))

    async def _locate_anew(self, target: Target, refused: CredentialKey) -> CredentialKey:
        """List again after WeCom said 670001: the child may have the app under another agent id by now."""
        app = self.app(target.app)
        await self._shares.recheck(app, refused.corp_id, refused.share_kind)
        key = await self.locate(target)
        if key == refused:
            raise _not_shared(target, app)
        return key


def _the_one(target: Target, app: App, found: list[AppShare]) -> AppShare:
    if target.agent_id and found:
        known = ", ".join(str(share.agent_id) for share in found)
        found = [share for share in found if share.agent_id == target.agent_id]
        if not found:
            problem = f"this corp has the app under agent id {known}, not {target.agent_id}"
            raise _not_shared(target, app, problem)
    if not found:
        raise _not_shared(target, app)
    if len({share.share_kind for share in found}) > 1:
        raise AmbiguousTarget("target.share_kind", "the child has the app through both kinds of share")
    if len(found) > 1:
        agents = ", ".join(str(share.agent_id) for share in found)
        raise AmbiguousTarget("target.agent_id", f"the child has the app under several agent ids: {agents}")
    return found[0]


def _not_shared(
    target: Target, app: App, problem: str = "the app is not shared with this corp"
) -> AppNotShared:
    return AppNotShared(
        problem if app.agent_id else f"{app.name} {NO_AGENT}",
        app=app.name,
        corp_id=target.corp_id,
        agent_id=target.agent_id or None,
        listed_kinds=", ".join(app.share_kinds),
    )
