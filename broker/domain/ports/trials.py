"""Where a doctor remembers which secrets it tried."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from broker.domain.trial import Trial


class Trials(Protocol):
    """The trials of all doctors that share a store. Raises `StoreUnavailable`, and nothing else."""

    def turn(self, mark: str) -> AbstractAsyncContextManager[bool]:
        """Enter with True if no other doctor tries that secret now."""

    async def find(self, mark: str) -> Trial | None:
        """Return the last trial of the secret."""

    async def put(self, trial: Trial) -> None:
        """Remember a trial; it is on record when this returns."""
