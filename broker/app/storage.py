"""What the replicas of a fleet share, by type."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.adapters.storage import codecs, suite_codecs
from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.event_codec import EVENTS
from broker.adapters.storage.parked_events import ParkedEvents
from broker.adapters.storage.replica_codec import REPLICAS
from broker.adapters.storage.seal import Seal
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.app.at_rest.seal_keys import SealKeys
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.events.event import Event
from broker.domain.people.sessions import Session
from broker.domain.ports.collection import Collection
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog, EventStore
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Coordination, Groups, Store
from broker.domain.remembered_errors import RememberedError
from broker.domain.replica.report import ReplicaReport
from broker.domain.shares import ListingKey, ShareList
from broker.domain.suites.authorization import Authorization, AuthorizationKey
from broker.domain.suites.installation import Installation, InstallationKey
from broker.domain.suites.ticket import SuiteTicket


@dataclass(frozen=True, slots=True)
class Storage:
    """The collections and the event log in one store, and what coordinates the replicas."""

    credentials: Collection[CredentialKey, Credential]
    share_lists: Collection[ListingKey, ShareList]
    errors: Collection[str, RememberedError]
    sessions: Collection[str, Session]
    suite_tickets: Collection[str, SuiteTicket]
    authorizations: Collection[AuthorizationKey, Authorization]
    installations: Collection[InstallationKey, Installation]
    replicas: Collection[str, ReplicaReport]
    events: EventLog[Event]
    event_groups: EventGroups
    coordination: Coordination
    groups: Groups
    seal_keys: SealKeys
    parked_events: ParkedEvents
    seconds: Callable[[], Awaitable[float]] | None = None
    """Return the time of a store that several machines share, in seconds since 1970."""


def storage_in(
    store: Store, events: EventStore, seal: Seal, observer: Observer, identity_of: Callable[[str], str]
) -> Storage:
    """Return what is in the two stores of one fleet, each value and each event sealed.

    Of two apps that have one name at different times, each finds its own: see `Catalog.identity`.
    """
    parking = ParkedEvents(store, events, seal)
    return Storage(
        SealedCollection(store, seal, codecs.CREDENTIALS, observer, identity_of),
        SealedCollection(store, seal, codecs.SHARE_LISTS, observer, identity_of),
        SealedCollection(store, seal, codecs.ERRORS, observer),
        SealedCollection(store, seal, codecs.SESSIONS, observer, identity_of),
        SealedCollection(store, seal, suite_codecs.SUITE_TICKETS, observer, identity_of),
        SealedCollection(store, seal, suite_codecs.AUTHORIZATIONS, observer, identity_of),
        SealedCollection(store, seal, suite_codecs.INSTALLATIONS, observer, identity_of),
        SealedCollection(store, seal, REPLICAS, observer),
        SealedEventLog(events, seal, EVENTS, observer, parking),
        events,
        store,
        store,
        SealKeys(store, seal),
        parking,
    )
