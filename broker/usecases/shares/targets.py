"""Whose credential a caller means: an app's own, a suite's in a corp, or one of a child of either."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from broker.domain.apps import NO_AGENT, App, AppKind, Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import (
    AmbiguousTarget,
    AppNotShared,
    CorpNotAuthorized,
    InvalidRequest,
    ReauthorizationRequired,
)
from broker.domain.shares import ListingKey
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.usecases.shares.children import Child, SuiteChildren
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.parents import KnownAuthorizations, Parents

REMEMBERED = 50_000
"""How many targets' keys are cached at most."""

Result = TypeVar("Result")


class Targets:
    """Find the key of a target's token; other credentials' keys follow from it."""

    def __init__(
        self,
        catalog: Catalog,
        shares: ShareDirectory,
        authorizations: KnownAuthorizations,
        parents: Parents,
        children: SuiteChildren,
        *,
        held: Callable[[CredentialKey], CredentialKey] = lambda key: key,
    ) -> None:
        """Return of equal keys the one that is `held`."""
        self._catalog = catalog
        self._shares = shares
        self._authorizations = authorizations
        self._parents = parents
        self._children = children
        self._held = held
        self._located: dict[Target, CredentialKey] = {}
        self._located_version = -1

    def app(self, name: str) -> App:
        """Return the self-built app of that name. Raises `UnknownApp`."""
        return self._catalog.app(name)

    def owner(self, name: str) -> App | Suite | Provider:
        """See `Catalog.owner`."""
        return self._catalog.owner(name)

    async def locate(self, target: Target) -> CredentialKey:
        """Return the key of the credential that is meant; asks WeCom only if the child is unknown."""
        version = self.version
        if self._located_version != version:
            self._located.clear()
            self._located_version = version
        key = self._located.get(target)
        if key is None:
            key = self._held(await self._locate(target))
            version = self.version
            if self._located_version == version and len(self._located) < REMEMBERED:
                # Of tens of thousands, each corp id and each key is in memory once.
                same = target._replace(corp_id=key.corp_id) if key.corp_id == target.corp_id else target
                self._located[same] = key
        return key

    def located(self, target: Target) -> CredentialKey | None:
        """Return what `locate` has found, if nothing has changed since."""
        return self._located.get(target) if self._located_version == self.version else None

    @property
    def version(self) -> int:
        """Grow whenever a target may mean another credential than before."""
        # All of them only grow, so their sum tells of any change.
        return self._shares.version + self._authorizations.version + self._catalog.version

    async def reach(self, target: Target, act: Callable[[CredentialKey], Awaitable[Result]]) -> Result:
        """Act with the key of the target's token; where WeCom says 670001, list again and act once more."""
        key = await self.locate(target)
        try:
            return await act(key)
        except AppNotShared:
            if key.share_kind is ShareKind.OWN:
                raise
            return await act(await self._locate_anew(target, key))

    async def _locate(self, target: Target) -> CredentialKey:
        owner = self._catalog.owner(target.app)
        if isinstance(owner, App):
            return await self._of_app(owner, target)
        if isinstance(owner, Suite):
            return await self._of_suite(owner, target)
        if target.corp_id not in ("", owner.corp_id):
            raise InvalidRequest("target.corp_id", "is not the provider's own corp", app=owner.name)
        if target.agent_id:
            raise InvalidRequest("target.agent_id", "belongs to no provider", app=owner.name)
        return CredentialKey.provider_token(owner)

    async def _of_app(self, app: App, target: Target) -> CredentialKey:
        if target.corp_id in ("", app.corp_id):
            if target.agent_id not in (0, app.agent_id):
                raise InvalidRequest("target.agent_id", "is not the app's own agent id")
            return CredentialKey.own_token(app)
        found = await self._shares.find(app, target.corp_id, target.share_kind)
        if not found:
            raise _not_shared(target, app)
        return _the_one(target, [Child(app, share) for share in found]).token

    async def _of_suite(self, suite: Suite, target: Target) -> CredentialKey:
        """Return the key in the corp that authorised the suite, else in the child that it is shared with."""
        if not target.corp_id:
            if target.agent_id:
                raise InvalidRequest("target.agent_id", "belongs to a corp: name it in target.corp_id")
            return CredentialKey.suite_token(suite)
        if target.parent_corp_id:
            shares = ListingKey(suite.name, target.share_kind or suite.share_kinds[0], target.parent_corp_id)
            return await self._of_app(await self._parents.sharing(shares), target)
        # A third-party suite has an authorisation in each child, a 代开发 app need not (wecom-api B13).
        child = (suite, target.corp_id, target.share_kind)
        is_shared = suite.kind is AppKind.CUSTOMIZED
        is_known = self._authorizations.get((suite.name, target.corp_id)) is not None
        # Children in memory come before corps in the store, so that they are served while it is away.
        if is_shared and not is_known and (found := self._children.known(*child)):
            return _the_one(target, found).token
        try:
            authorization = await self._authorizations.usable(suite, target.corp_id)
        except ReauthorizationRequired as ended:
            # A parent may share the app with it, too. WeCom is not asked: calls may go on for days.
            if not is_shared or not (found := self._children.known(*child)):
                raise
            try:
                return _the_one(target, found).token
            except (AppNotShared, AmbiguousTarget):
                raise ended from None
        except CorpNotAuthorized:
            if not is_shared:
                raise
            # Of a replica that has just started, the parents may be unknown yet.
            await self._authorizations.loaded()
            if not (found := await self._children.find(*child)):
                raise
            return _the_one(target, found).token
        # Without its agents, the same token would soon be fetched again under another key.
        authorization = await self._authorizations.detailed(authorization)
        return CredentialKey.own_token(authorization.app(suite, _chosen_agent(authorization, target)))

    async def _locate_anew(self, target: Target, refused: CredentialKey) -> CredentialKey:
        """List again after WeCom said 670001: the child may have the app under another agent id by now."""
        app = await self._parents.sharing(ListingKey(refused.app, refused.share_kind, refused.parent_corp_id))
        await self._shares.recheck(app, refused.corp_id, refused.share_kind)
        key = await self.locate(target)
        if key == refused:
            raise _not_shared(target, app)
        return key


def _chosen_agent(authorization: Authorization, target: Target) -> int:
    """Return the agent id that the target names, or 0 if it names none. Raises `InvalidRequest`."""
    known = [agent.agent_id for agent in authorization.agents]
    if target.agent_id and target.agent_id not in known:
        listed = ", ".join(map(str, known)) or "none that is known yet"
        raise InvalidRequest("target.agent_id", f"this corp has the app under agent id {listed}")
    return target.agent_id


def _the_one(target: Target, found: Sequence[Child]) -> Child:
    app, shares = found[0].app, [child.share for child in found]
    if target.agent_id:
        known = ", ".join(str(share.agent_id) for share in shares)
        found = [child for child in found if child.share.agent_id == target.agent_id]
        if not found:
            problem = f"this corp has the app under agent id {known}, not {target.agent_id}"
            raise _not_shared(target, app, problem)
    if len({child.share.share_kind for child in found}) > 1:
        raise AmbiguousTarget("target.share_kind", "the child has the app through both kinds of share")
    if len(found) > 1:
        agents = ", ".join(str(child.share.agent_id) for child in found)
        parents = len({child.app.corp_id for child in found})
        several = f"from {parents} parents" if parents > 1 else "under several agent ids"
        raise AmbiguousTarget("target.agent_id", f"the child has the app {several}: {agents}")
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
