"""What a replica brings from the store into memory as it starts, so that its first calls need not."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice

from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.errors import InvalidRequest, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.shares import ListingKey, ShareList
from broker.domain.suites.catalog import Catalog
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.parents import KnownAuthorizations, Parents

BATCH = 50
"""How many are loaded in one step: few, because calls wait while they are read."""
PAUSE = timedelta(seconds=1)
"""How long to wait for a store that is away."""


class Preloading:
    """Load the fleet's credentials once, in the background. WeCom is never asked.

    What nobody asks this replica for is not renewed by it, and forgotten after its end.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        credentials: Replicated[CredentialKey, Credential],
        lister: ShareLister,
        parents: Parents,
        authorizations: KnownAuthorizations,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._catalog = catalog
        self._credentials = credentials
        self._lister = lister
        self._parents = parents
        self._authorizations = authorizations
        self._clock = clock
        self._observer = observer

    async def lists(self) -> None:
        """Load the share lists of what is configured, which a call would wait for: a large one takes 0.1 s.

        Raises `StoreUnavailable`.
        """
        for key in self._configured():
            await self._lister.recall(key)

    async def run(self) -> None:
        """Load them, and return. A store that is away is waited for."""
        while True:
            try:
                await self._load()
            except StoreUnavailable:
                await self._clock.sleep(PAUSE)
            except Exception as error:  # noqa: BLE001 - without it calls are answered too, only later
                self._observer.background_failed("loading credentials from the store", error)
                return
            else:
                return

    async def _load(self) -> None:
        if self._catalog.suites:
            await self._authorizations.loaded()
        own, listings = self._of_catalog(), [listing async for listing in self._listings()]
        # Tokens come first: everybody needs them, and most apps have no tickets.
        for chosen in (_token, _tickets):
            await self._recall(key for token in own for key in chosen(token))
            for listing in listings:
                shared = (CredentialKey.shared_token(listing.key, share) for share in listing.shares)
                await self._recall(key for token in shared for key in chosen(token))

    async def _recall(self, keys: Iterable[CredentialKey]) -> None:
        left = iter(keys)
        while batch := list(islice(left, BATCH)):
            await self._credentials.recall(batch)

    def _of_catalog(self) -> Sequence[CredentialKey]:
        """Return the keys of the tokens of what is configured, and of corps that authorised a suite."""
        catalog = self._catalog
        apps = [*catalog.apps.values()]
        for suite in catalog.suites.values():
            authorized = self._authorizations.of(suite.name)
            apps += [found.app(suite) for found in authorized if found.permanent_code]
        suites = [CredentialKey.suite_token(suite) for suite in catalog.suites.values()]
        return [*(CredentialKey.own_token(app) for app in apps), *suites]

    async def _listings(self) -> AsyncIterator[ShareList]:
        """Yield the share lists that the store has."""
        for key in (*self._configured(), *self._parents.known()):
            if listing := await self._lister.recall(key):
                yield listing

    def _configured(self) -> list[ListingKey]:
        return [ListingKey.of(app, kind) for app in self._catalog.apps.values() for kind in app.share_kinds]


def _token(token: CredentialKey) -> Iterable[CredentialKey]:
    return (token,)


def _tickets(token: CredentialKey) -> Iterable[CredentialKey]:
    """Return the keys of the tickets that are fetched with a token."""
    for kind in (CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET):
        # Suites have none, and an app without an agent id has none of its own.
        with suppress(InvalidRequest):
            yield token.of_kind(kind)
