"""Everything that a store holds sealed, for an operator who changes the key. Serving brokers never search."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

Change = Callable[[str, bytes], bytes]
"""Returns another payload for an app's entry, or the same."""


class AtRest(Protocol):
    """Find what is sealed, and put something else in its place; brokers go on reading and writing.

    Every method raises `StoreUnavailable` when the store is unavailable, and nothing else.
    """

    def records(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield name and payload of each record, some perhaps twice, not all of those written meanwhile."""

    async def exchange(self, name: str, before: bytes, after: bytes) -> bool:
        """Change a payload if it is still the same; number, expiry and readers stay as they are."""

    async def apps_with_events(self) -> list[str]:
        """Return the apps that have an event log."""

    async def exchange_events(self, app: str, change: Change) -> bool:
        """Change the payloads of an app's log; order and positions stay.

        False, and nothing is changed, if brokers removed entries meanwhile.
        """
