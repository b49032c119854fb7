"""What a store says of its servers."""

from dataclasses import dataclass
from datetime import timedelta

from broker.domain.stores.redis_address import Topology


@dataclass(frozen=True, slots=True)
class Primary:
    """A server that takes writes, and how far its replicas are behind."""

    address: str
    replicas: int = 0
    lag: timedelta | None = None
    """Since the replica that was heard longest ago was heard; None without replicas."""
    lag_bytes: int = 0
    """What the replica that is furthest behind lacks."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The servers, as one replica of the broker reaches them."""

    topology: Topology
    primaries: tuple[Primary, ...] = ()
    """Empty while they are unknown, and of the embedded store."""
