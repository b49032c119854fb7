"""The corps that share an app: a self-built app's own corp, or those that authorised a suite."""

from contextlib import suppress
from typing import Protocol

from broker.domain.apps import App
from broker.domain.errors import InvalidRequest, StoreUnavailable
from broker.domain.shares import ListingKey, ShareList
from broker.domain.suites.authorization import Authorization, AuthorizationKey
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Suite


class KnownAuthorizations(Protocol):
    """Which corps authorised a suite."""

    @property
    def version(self) -> int:
        """Return a number that grows whenever an authorisation changes."""

    async def find(self, suite: Suite, corp_id: str) -> Authorization:
        """Return the corp's. Raises `CorpNotAuthorized`, `StoreUnavailable`."""

    async def usable(self, suite: Suite, corp_id: str) -> Authorization:
        """Return the corp's, if calls may be made with it. Raises as `find`, `ReauthorizationRequired`."""

    async def detailed(self, found: Authorization) -> Authorization:
        """Return it with its agents; if the corp authorised a moment ago, wait until they are read."""

    async def sole(self, suite: Suite) -> Authorization:
        """Return the only usable one. Raises `InvalidRequest` with `corp_id`, `CorpNotAuthorized`."""

    async def loaded(self) -> None:
        """Return once everything is in memory. Raises `StoreUnavailable`."""

    def get(self, key: AuthorizationKey) -> Authorization | None:
        """Return the one in memory, also if it was cancelled."""

    def of(self, suite: str) -> list[Authorization]:
        """Return those in memory, by corp id."""

    async def mark_sharing(self, key: AuthorizationKey) -> None:
        """Record that the corp shares the app. Raises `StoreUnavailable`."""


class Parents:
    """Find the app in the corp that shares it."""

    def __init__(self, catalog: Catalog, authorizations: KnownAuthorizations) -> None:
        self._catalog = catalog
        self._authorizations = authorizations
        self._sharing: dict[str, tuple[int, list[App]]] = {}
        """The corps that share each suite, with the version of the authorisations that says so."""

    async def named(self, name: str, corp_id: str) -> App:
        """Return the app in the corp that a request names.

        Raises `InvalidRequest` with the field, `UnknownApp`, and as `KnownAuthorizations.usable`.
        """
        owner = self._catalog.owner(name)
        if isinstance(owner, App):
            if corp_id not in ("", owner.corp_id):
                raise InvalidRequest("parent_corp_id", "is not the app's own corp", app=name)
            return owner
        suite = self._catalog.suite(name)
        if not corp_id:
            raise InvalidRequest("parent_corp_id", "is required: the corp that shares the suite", app=name)
        found = await self._authorizations.usable(suite, corp_id)
        return (await self._authorizations.detailed(found)).app(suite)

    async def sharing(self, listing: ListingKey) -> App:
        """Return the app in the corp whose shares are listed.

        Raises `CorpNotAuthorized`, `ReauthorizationRequired`, `StoreUnavailable`.
        """
        if app := self._catalog.apps.get(listing.app):
            return app
        suite = self._catalog.suite(listing.app)
        found = await self._authorizations.usable(suite, listing.parent_corp_id)
        return (await self._authorizations.detailed(found)).app(suite)

    def are_listed(self, listing: ListingKey) -> bool:
        """Return whether shares of that kind are listed by the configuration."""
        if app := self._catalog.apps.get(listing.app):
            return listing.share_kind in app.share_kinds and not listing.parent_corp_id
        suite = self._catalog.suites.get(listing.app)
        return suite is not None and listing.share_kind in suite.share_kinds and bool(listing.parent_corp_id)

    async def note_sharing(self, listing: ShareList) -> None:
        """Record durably that a corp shares a suite, so that its shares are compared from now on."""
        known = self._authorizations.get((listing.app, listing.parent_corp_id))
        if listing.shares and known and not known.shares:
            with suppress(StoreUnavailable):
                await self._authorizations.mark_sharing(known.key)

    def of(self, suite: Suite) -> list[App]:
        """Return the suite in the corps that are known to share it, as long as they authorise it."""
        version, apps = self._sharing.get(suite.name, (-1, []))
        present = self._authorizations.version + self._catalog.version
        if version != present:
            version = present
            found = [found for found in self._authorizations.of(suite.name) if found.shares]
            apps = [sharing.app(suite) for sharing in found if sharing.permanent_code]
            self._sharing[suite.name] = (version, apps)
        return apps

    def known(self) -> list[ListingKey]:
        """Return what is listed of the corps that are known to share a suite."""
        suites = self._catalog.suites.values()
        return [
            ListingKey.of(app, kind) for suite in suites for app in self.of(suite) for kind in app.share_kinds
        ]
