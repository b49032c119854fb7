"""The credentials of an app in its child corps, as shares end and begin."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from broker.domain.credentials import CORP_KINDS, Credential, CredentialKey
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.collection import Collection
from broker.domain.shares import AppShare, ListingKey
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.limits.error_cache import ErrorCache

BATCH = 500
"""How many records are loaded in one step: most children that leave have none."""


class ShareRevocation:
    """Drop tokens and tickets of children that left; forget remembered errors of those that came."""

    def __init__(
        self,
        credentials: Collection[CredentialKey, Credential],
        memory: CredentialCache,
        error_cache: ErrorCache,
    ) -> None:
        self._credentials = credentials
        self._memory = memory
        self._error_cache = error_cache

    def evict(self, listing: ListingKey, gone: Iterable[AppShare]) -> None:
        """Drop their credentials in this replica, without awaiting; their watchers get the error."""
        for key in _keys(listing, gone):
            self._memory.drop(key)

    async def tombstone(self, listing: ListingKey, gone: Iterable[AppShare]) -> None:
        """Leave tombstones in the store, and notify the replicas; without a store each finds out itself."""
        keys = _keys(listing, gone)
        with suppress(StoreUnavailable):
            for start in range(0, len(keys), BATCH):
                await self._tombstone(keys[start : start + BATCH])

    async def reinstate(self, listing: ListingKey, came: Iterable[AppShare]) -> None:
        """Forget that WeCom refused them before."""
        for share in came:
            await self._error_cache.forget(CredentialKey.shared_token(listing, share).name)

    async def _tombstone(self, keys: Sequence[CredentialKey]) -> None:
        for key, stored in (await self._credentials.load(keys)).items():
            if stored.value or not stored.is_readable:
                await self._credentials.forget(key, stored.fence)


def _keys(listing: ListingKey, shares: Iterable[AppShare]) -> list[CredentialKey]:
    tokens = [CredentialKey.shared_token(listing, share) for share in shares]
    return [token.of_kind(kind) for token in tokens for kind in CORP_KINDS]
