"""What the replicas of a fleet share, by type."""

from dataclasses import dataclass

from broker.adapters.storage import codecs
from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.seal import Seal
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.ports.collection import Collection
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Coordination, Store
from broker.domain.remembered_errors import RememberedError
from broker.domain.sessions import Session
from broker.domain.shares import ListingKey, ShareList


@dataclass(frozen=True, slots=True)
class Storage:
    """The collections in one store, and what coordinates the replicas."""

    credentials: Collection[CredentialKey, Credential]
    share_lists: Collection[ListingKey, ShareList]
    errors: Collection[str, RememberedError]
    sessions: Collection[str, Session]
    coordination: Coordination


def storage_in(store: Store, seal: Seal, observer: Observer) -> Storage:
    """Return the collections in the store, each value sealed."""
    return Storage(
        SealedCollection(store, seal, codecs.CREDENTIALS, observer),
        SealedCollection(store, seal, codecs.SHARE_LISTS, observer),
        SealedCollection(store, seal, codecs.ERRORS, observer),
        SealedCollection(store, seal, codecs.SESSIONS, observer),
        store,
    )
