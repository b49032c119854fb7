"""The children of 代开发 apps, which are in the lists of the corps that share them (wecom-api B13)."""

from typing import NamedTuple

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, RetryLater
from broker.domain.shares import AppShare
from broker.domain.suites.suite import Suite
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.parents import Parents

FEW = 5
"""How many parents' shares may be listed for an unknown child; of more, the listings in the store must do."""


class Child(NamedTuple):
    """A share, and the app in the corp that shares it."""

    app: App
    share: AppShare

    @property
    def token(self) -> CredentialKey:
        """Return the key of the app's token in the child."""
        return CredentialKey.child_token(self.app, self.share)


class SuiteChildren:
    """Find children of suites."""

    def __init__(self, parents: Parents, shares: ShareDirectory) -> None:
        self._parents = parents
        self._shares = shares
        self._recalled: set[str] = set()
        """The parents looked for in the store; later listings come by events and the clock."""

    def known(self, suite: Suite, corp_id: str, share_kind: ShareKind | None) -> list[Child]:
        """Return the shares with that child, if all of its parents' listings are in memory."""
        found = self._held(suite, corp_id, share_kind)
        is_all = all(self._shares.known(child.app, corp_id, share_kind) is not None for child in found)
        return found if is_all else []

    async def find(self, suite: Suite, corp_id: str, share_kind: ShareKind | None) -> list[Child]:
        """Return the shares with that child; an unknown child is looked for at WeCom once, within limits.

        Raises `RetryLater` if a listing could not be had, and no other has the child.
        """
        if found := self.known(suite, corp_id, share_kind):
            return found
        parents = self._parents.of(suite)
        failure: RetryLater | None = None
        for app in parents:
            try:
                if len(parents) <= FEW:
                    await self._shares.find(app, corp_id, share_kind)
                elif (name := f"{app.name}:{app.corp_id}") not in self._recalled:
                    await self._shares.recall_all(app)
                    self._recalled.add(name)
            except RetryLater as error:
                failure = error
            except BrokerError:
                # The parent may not list its shares, or must authorise again.
                continue
        found = self._held(suite, corp_id, share_kind)
        if failure and not found:
            raise failure
        return found

    def _held(self, suite: Suite, corp_id: str, share_kind: ShareKind | None) -> list[Child]:
        return [
            Child(app, share)
            for app in self._parents.of(suite)
            for share in self._shares.held_with(app, corp_id, share_kind)
        ]
