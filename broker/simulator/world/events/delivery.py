"""The outcome of an event: each attempt and its answer."""

from dataclasses import dataclass, field

from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import COMMANDS, SYSTEM

OK = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold the answer to one request; if there was none, `status` is None and `error` says why."""

    status: int | None
    body: str
    seconds: float
    error: str = ""
    reply: str = ""
    """The passive reply (被动回复) in it."""
    reply_problem: str = ""
    """Why WeCom would drop that reply."""


@dataclass(slots=True)
class Delivery:
    """Hold the outcome of an event; without attempts it is still waiting."""

    event: Event
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Return whether WeCom accepts the answer, and does not send the event again."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.status != OK:
            return False
        return last.body == "success" or self.event.kind not in COMMANDS | SYSTEM
