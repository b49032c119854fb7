"""How many more calls to WeCom one request may cause, across the tasks that work for it.

It begins when a request first needs it, at the latest with the first task that works for the request; each
piece of background work begins one of its own.
"""

from contextvars import ContextVar

MOST_STEPS = 4
"""How many steps one request may take, even if WeCom calls every token dead."""


class RecoveryBudget:
    """Count the steps that a request takes upstream, to know when recovering costs too much."""

    def __init__(self) -> None:
        self.steps = 0
        """How many were taken; who repeats a fetch that brought nothing usable sets it back."""

    def step(self) -> None:
        """Count one step: a fetch, or one listing."""
        self.steps += 1

    def affords(self, steps: int) -> bool:
        """Return whether that many more may still be taken to recover."""
        return self.steps + steps <= MOST_STEPS


_current: ContextVar[RecoveryBudget | None] = ContextVar("recovery_budget", default=None)


def begin_recovery_budget() -> None:
    """Start a new count for this task and the tasks that it starts."""
    _current.set(RecoveryBudget())


def current_recovery_budget() -> RecoveryBudget:
    """Return the budget of the request that this task works for; a new one if it works for none."""
    budget = _current.get()
    if budget is None:
        budget = RecoveryBudget()
        _current.set(budget)
    return budget
