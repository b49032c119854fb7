"""Whether this replica can still give callers tokens, and if not, why."""

from collections.abc import Iterable
from datetime import timedelta

from broker.domain.ports.clock import Clock
from broker.domain.replica.health import ReplicaHealth
from broker.domain.replica.readiness import Hindrance, NotReady
from broker.usecases.credentials.cache import CacheEntry

STORE_PATIENCE = timedelta(seconds=30)
"""How long a replica without a store, and without a valid credential, counts as able to fetch one.

It would fetch for itself alone, which costs WeCom's quota once for each replica: others should answer.
"""


class Readiness:
    """Judge one replica. A valid credential in memory makes it ready, whatever is away."""

    def __init__(self, replica_health: ReplicaHealth, memory: Iterable[CacheEntry], clock: Clock) -> None:
        self._health = replica_health
        self._memory = memory
        self._clock = clock

    def obstacle(self) -> NotReady | None:
        """Return why no request should be sent here; None if it is ready."""
        if self._health.draining:
            return NotReady(Hindrance.STOPPING, "this replica is stopping")
        return self.without_tokens()

    def without_tokens(self) -> NotReady | None:
        """Return why callers can get no token, whether or not this replica is stopping."""
        now, wecom, store = self._clock.now(), self._health.wecom, self._health.store
        if wecom.is_down(now):
            found = NotReady(Hindrance.WECOM, f"{wecom.last_error}, and no credential here is valid")
        elif not store.healthy and now - store.since >= STORE_PATIENCE:
            found = NotReady(Hindrance.STORE, f"{store.last_error}, and no credential here is valid")
        else:
            return None
        is_left = any(entry.credential and entry.credential.is_valid(now) for entry in self._memory)
        return None if is_left else found
