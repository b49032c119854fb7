"""The event log of each app, and what a store implements for it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from broker.domain.events.log import Delivery, Entry, Item, Member, Retention
from broker.domain.ports.event_groups import EventGroups


class EventLog(Protocol[Item]):
    """Keep events until every group has handled them."""

    async def append(
        self, event: Item, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        """Write the event durably; return its position, "" if `key` was appended within `once_in`.

        The same step publishes `Notice(APPENDED, name, <its milliseconds>)` for each name of `notify`, and
        removes what `keep` does not cover.
        """

    async def claim(self, member: Member) -> list[Delivery[Item]]:
        """Claim what the member may have now, each corp's events in order; empty if there is nothing."""

    async def read(self, app: str, after: str, limit: int) -> list[Item]:
        """Return events after a position ("" = from the oldest), for an observer without a group."""

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Item]:
        """Return the group's dead events after a position ("" = from the oldest), in order."""


class EventStore(EventLog[Entry], EventGroups, Protocol):
    """What a store implements: the log of entries, and the groups that read it."""
