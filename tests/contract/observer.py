"""An observer whose notes a test can read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from broker.domain.errors import BrokerError
from broker.domain.ports.observer import Damage, Durability
from broker.domain.shares import AppShare


@dataclass
class Notebook:
    """Write down what the stores tell; the rest is not theirs to tell."""

    told: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    clock_off: list[timedelta] = field(default_factory=list)
    durable_writes: list[tuple[Durability, str]] = field(default_factory=list)
    replicated_writes: list[tuple[Durability, str]] = field(default_factory=list)

    async def has_failures(self) -> bool:
        return bool(self.failures)

    def upstream_called(
        self, endpoint: str, outcome: str, duration: timedelta, *, of_caller: bool = False, problem: str = ""
    ) -> None:
        raise NotImplementedError

    def lease_waited(self, name: str, duration: timedelta) -> None:
        raise NotImplementedError

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        raise NotImplementedError

    def store_lost(self, error: BrokerError) -> None:
        self.told.append("lost")
        self.failures.append(error)

    def store_back(self) -> None:
        self.told.append("back")

    def durable_write_ended(self, outcome: Durability, problem: str = "") -> None:
        self.durable_writes.append((outcome, problem))

    def replication_ended(self, outcome: Durability, problem: str = "") -> None:
        self.replicated_writes.append((outcome, problem))

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        raise NotImplementedError

    def damage_found(self, damage: Damage, problem: Exception) -> None:
        self.told.append("opening an event" if damage is Damage.EVENT else "opening a record")
        self.failures.append(problem)
        self.damage.append(damage)

    def store_clock_compared(self, off: timedelta) -> None:
        self.clock_off.append(off)

    def background_failed(self, what: str, error: Exception) -> None:
        self.told.append(what)
        self.failures.append(error)
