"""The event log of each app, and the groups that read it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from broker.domain.event_log import Delivery, Entry, Lag, Member, Retention


class EventLog(Protocol):
    """Keep events until every group has handled them."""

    async def append(
        self, entry: Entry, *, key: str, once_in: timedelta, keep: Retention, tell: Sequence[str]
    ) -> str:
        """Write the entry durably and return its place, or "" if `key` was appended within `once_in`.

        In the same step everybody hears `Notice(APPENDED, name, <milliseconds of the place>)` for each name
        of `tell`, and what `keep` does not cover is removed.
        """

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        """See that the group is there; False if it is not, and its owner has so many others."""

    async def take(self, member: Member) -> list[Delivery]:
        """Hand out what the member may have now, each corp's in order; empty if there is nothing."""

    async def acknowledge(self, app: str, group: str, places: Sequence[str]) -> int:
        """Mark as handled, whoever holds them, dead ones too; return how many were open or dead.

        Everybody hears `Notice(AVAILABLE, log_name(app))` if that lets another member have something.
        """

    async def give_up(self, app: str, group: str, places: Sequence[str]) -> int:
        """Make entries that were taken dead for the group, whoever holds them; return how many were open.

        For what this broker cannot handle: it is in nobody's way, and `retry` brings it back.
        """

    async def release(self, app: str, group: str, member: str, *, spends: bool = True) -> None:
        """Free what the member holds, and forget it; AVAILABLE follows if it held something.

        It `spends` a try unless what it held has nothing to do with its leaving.
        """

    async def rewind(self, app: str, group: str, place: str) -> None:
        """Begin anew with the first entry at or after the place: nothing is held, waiting or dead any more.

        Everybody hears AVAILABLE. A place ahead of the log means its end.
        """

    async def read(self, app: str, after: str, limit: int) -> list[Entry]:
        """Return entries after a place ("" = from the oldest), for whoever only looks."""

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Entry]:
        """Return the group's dead entries after a place ("" = from the oldest), in order."""

    async def retry(self, app: str, group: str, places: Sequence[str]) -> int:
        """Free dead entries, with no try spent; return how many were dead. AVAILABLE follows."""

    async def lags(self, app: str) -> list[Lag]:
        """Return every group's lag."""

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        """Forget the groups of which nobody took anything for so long."""
