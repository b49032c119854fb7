"""The script of faults: which calls get which fault, how often, and how many did."""

import random
from dataclasses import dataclass, field

from broker.simulator.world.faults import Delay, Fault
from broker.simulator.world.paths import path_or_all


@dataclass(slots=True)
class FaultRule:
    """Hold one rule of the script: skip `after` calls, then strike `times` (None: until cleared).

    With a `share`, only that fraction of the calls is struck, chosen at random from the `seed`.
    """

    path: str
    fault: Fault
    times: int | None = None
    after: int = 0
    share: float | None = None
    seed: int = 0
    seen: int = 0
    struck: int = 0
    _chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - the same calls are struck every time

    @property
    def spent(self) -> bool:
        """Return whether it has struck `times` already."""
        return self.times is not None and self.struck >= self.times

    def strikes(self, path: str) -> bool:
        """Count a call that the rule applies to, and return whether the fault strikes it."""
        if self.path not in ("*", path):
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        return self.share is None or self._chance.random() < self.share

    def strike(self) -> Fault:
        """Use the fault once."""
        self.struck += 1
        return self.fault


@dataclass(frozen=True, slots=True)
class Trouble:
    """Hold the faults of one call: a delay, then perhaps an end, or a delay on the way back."""

    delay: float = 0.0
    end: Fault | None = None
    delay_back: float = 0.0

    @property
    def name(self) -> str:
        """Name the trouble for the log."""
        delayed = self.delay or self.delay_back
        return " ".join(["delay"] * bool(delayed) + [type(self.end).__name__.lower()] * bool(self.end))


@dataclass(slots=True)
class FaultScript:
    """Keep the rules in the order they were added; delays add up, the first other fault ends the call."""

    rules: list[FaultRule] = field(default_factory=list)

    def add(
        self,
        endpoint: str,
        fault: Fault,
        *,
        times: int | None = None,
        after: int = 0,
        share: float | None = None,
        seed: int = 0,
    ) -> FaultRule:
        """Append a rule for one endpoint, or for "*"; it counts its calls. Raises ValueError."""
        rule = FaultRule(path_or_all(endpoint), fault, times, after, share, seed)
        self.rules.append(rule)
        return rule

    def clear(self, endpoint: str | None = None) -> None:
        """Drop every rule, or those written for one endpoint. Raises ValueError."""
        path = None if endpoint is None else path_or_all(endpoint)
        self.rules = [rule for rule in self.rules if path is not None and rule.path != path]

    def draw(self, path: str) -> Trouble:
        """Return the faults of one call, and drop the rules that are spent."""
        delay, delay_back, end = 0.0, 0.0, None
        for rule in self.rules:
            if not rule.strikes(path):
                continue
            match rule.fault:
                case Delay(seconds, on_the_way_back=True):
                    rule.strike()
                    delay_back += seconds
                case Delay(seconds):
                    rule.strike()
                    delay += seconds
                case _ if end is None:
                    end = rule.strike()
        self.rules = [rule for rule in self.rules if not rule.spent]
        return Trouble(delay, end, delay_back)
