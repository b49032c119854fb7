"""The groups that read an app's event log: what each has claimed, handled and given up."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from broker.domain.events.log import Deletion, Lag, Retention


class EventGroups(Protocol):
    """Keep the progress of each group. Entries are named by their positions; nothing of an event is in it."""

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        """Make sure that the group exists; False if it does not and its owner already has `most`."""

    async def acknowledge(self, app: str, group: str, positions: Sequence[str]) -> int:
        """Mark entries as handled, whoever holds them, dead ones too; return how many were open or dead.

        Publishes `Notice(AVAILABLE, topic(app))` if another member can have something because of that.
        """

    async def give_up(self, app: str, group: str, positions: Sequence[str]) -> int:
        """Make claimed entries dead for the group, whoever holds them; return how many were open.

        For entries that this broker cannot handle: they no longer block others, and `retry` brings them back.
        """

    async def release(
        self,
        app: str,
        group: str,
        member: str,
        *,
        counts_as_attempt: bool = True,
        unseen: Collection[str] = (),
    ) -> None:
        """Free what the member holds, and forget the member; publishes AVAILABLE if it held something.

        It `counts_as_attempt` unless the member leaves for a reason unrelated to what it held. The `unseen`
        positions never reached its subscriber: they do not count as handed out (promise 11).
        """

    async def rewind(self, app: str, group: str, position: str) -> None:
        """Restart at the first entry at or after the position: nothing is held, waiting or dead any more.

        Publishes AVAILABLE. A position after the log's end means its end.
        """

    async def retry(self, app: str, group: str, positions: Sequence[str]) -> int:
        """Reopen dead entries with no attempts counted; return how many were dead. Publishes AVAILABLE."""

    async def lags(self, app: str) -> list[Lag]:
        """Return every group's lag."""

    async def delete_group(self, app: str, group: str) -> Deletion:
        """Forget a group and its progress, unless it has members."""

    async def trim(self, app: str, keep: Retention) -> None:
        """Remove the entries that `keep` does not cover, as each append does (promise 10)."""

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        """Forget the groups for which no member claimed anything for that long."""


class Parked(Protocol):
    """Dead events that only lack a seal key."""

    async def bring_back(self) -> None:
        """Hand out again what can be opened here by now. Raises `StoreUnavailable`."""
