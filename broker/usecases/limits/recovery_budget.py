"""What one request has cost at WeCom so far, across the tasks that work for it."""

from contextvars import ContextVar

MOST_STEPS = 4
"""A WeCom that calls every token dead is asked so often for one request, and no more."""


class RecoveryBudget:
    """Count the steps that a request takes upstream, to know when recovering costs too much."""

    def __init__(self) -> None:
        self._steps = 0
        self.insists = False
        """Whether somebody says that what is held does not work: then the reserve of a quota is for him."""

    def step(self) -> None:
        """Count one step: a fetch, or one listing."""
        self._steps += 1

    def affords(self, steps: int) -> bool:
        """Tell whether that many more may still be taken to recover."""
        return self._steps + steps <= MOST_STEPS


_current: ContextVar[RecoveryBudget | None] = ContextVar("errand", default=None)


def begin_recovery_budget(*, insists: bool = False) -> None:
    """Start counting anew for this task and all that it starts."""
    errand = RecoveryBudget()
    errand.insists = insists
    _current.set(errand)


def current_recovery_budget() -> RecoveryBudget:
    """Return the errand that this task works for; one of its own if it works for none."""
    errand = _current.get()
    if errand is None:
        errand = RecoveryBudget()
        _current.set(errand)
    return errand
