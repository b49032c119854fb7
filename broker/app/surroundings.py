"""What the core needs from outside."""

from dataclasses import dataclass

from broker.app.storage import Storage
from broker.domain.credentials import RefreshPolicy
from broker.domain.ports.audit import AuditTrail
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.observer import Observer
from broker.domain.ports.suite_observer import SuiteObserver
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.suites.catalog import Catalog
from broker.usecases.fleet.background import Background


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The configuration's terms, and the means to act."""

    catalog: Catalog
    storage: Storage
    clock: Clock
    randomness: Randomness
    policy: RefreshPolicy
    observer: Observer
    suite_observer: SuiteObserver
    audit: AuditTrail
    tasks: Background
    tracer: Tracer = NO_TRACER
