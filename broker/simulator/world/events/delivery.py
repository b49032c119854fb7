"""What became of an event: each try, and its answer."""

from dataclasses import dataclass, field

from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import COMMANDS

OK = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold the answer to one request; without one `status` is None, and `error` says why."""

    status: int | None
    body: str
    seconds: float
    error: str = ""
    reply: str = ""
    """What a passive reply (被动回复) in it says."""
    reply_problem: str = ""
    """Why WeCom would drop that reply."""


@dataclass(slots=True)
class Delivery:
    """Hold what became of an event; without attempts it still waits."""

    event: Event
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Return whether WeCom is content, and does not send it again."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.status != OK:
            return False
        return last.body == "success" or self.event.kind not in COMMANDS
