"""Whose clock a replica goes by: of the machine's, the store's and WeCom's, the one that another confirms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

MAX_CLOCK_OFFSET = timedelta(seconds=60)
"""How far two clocks may be apart, and still confirm each other."""


class Witness(StrEnum):
    """A clock that tells the time."""

    MACHINE = "machine"
    STORE = "store"
    """The time that all replicas share."""
    WECOM = "wecom"
    """The `Date` of its answers, which all replicas hear."""


WHOSE = {Witness.MACHINE: "this machine's", Witness.STORE: "the store's", Witness.WECOM: "WeCom's"}

Told = Mapping[Witness, timedelta]
"""How far each clock is ahead of the one that the replica goes by."""


def agree(one: timedelta, other: timedelta) -> bool:
    """Return whether two clocks confirm each other."""
    return abs(one - other) <= MAX_CLOCK_OFFSET


def trusted(told: Told) -> Witness | None:
    """Return whose time to take; None = two contradict each other, and no third was heard: change nothing.

    The store's before others, because all replicas share it. If no clock agrees with another, WeCom's:
    the other replicas hear it, too, and tokens end by it.
    """
    store, wecom = told.get(Witness.STORE), told.get(Witness.WECOM)
    if store is not None:
        others = [ahead for witness, ahead in told.items() if witness is not Witness.STORE]
        if any(agree(store, other) for other in others):
            return Witness.STORE
    if wecom is not None:
        machine = told.get(Witness.MACHINE)
        return Witness.MACHINE if machine is not None and agree(wecom, machine) else Witness.WECOM
    return None


@dataclass(frozen=True, slots=True)
class ClockComparison:
    """The clocks that a replica has heard, beside the one that it goes by."""

    told: Told = field(default_factory=dict)

    @property
    def trusted(self) -> Witness | None:
        """Return whose time the replica goes by; None if nothing confirms the one that it goes by."""
        return trusted(self.told)

    @property
    def far_off(self) -> frozenset[Witness]:
        """Return the clocks that are not believed."""
        return frozenset(witness for witness, ahead in self.told.items() if not agree(ahead, timedelta(0)))

    @property
    def problem(self) -> str:
        """Return which clocks are wrong, for operators; empty if none is."""
        if not self.far_off:
            return ""
        wrong = ", ".join(
            f"{WHOSE[witness]} is {abs(self.told[witness]).total_seconds():.0f} s"
            f" {'ahead' if self.told[witness] > timedelta(0) else 'behind'}"
            for witness in sorted(self.far_off)
        )
        going_by = f"{WHOSE[self.trusted]} clock" if self.trusted else "a clock that nothing confirms"
        return f"this replica goes by {going_by}: {wrong}"
