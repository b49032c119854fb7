"""Which child corps an app is shared with."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from wecom_broker._target import SHARE_KIND_NUMBERS, SHARE_KINDS, ShareKind
from wecom_broker.v1 import app_share_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from wecom_broker._connection.connection import Connection


@dataclass(frozen=True, slots=True)
class AppShare:
    """One share of one app with one child corp."""

    app: str
    corp_id: str
    corp_name: str
    agent_id: int
    """The app's agent id inside the child corp."""
    share_kind: ShareKind | None
    """How the app reaches the child; None for a kind that is newer than this client."""
    parent_corp_id: str = ""
    """The corp that shares the app."""

    @classmethod
    def from_proto(cls, message: pb.AppShare) -> Self:
        """Return the share of a message."""
        return cls(
            app=message.app,
            corp_id=message.corp_id,
            corp_name=message.corp_name,
            agent_id=message.agent_id,
            share_kind=SHARE_KINDS.get(message.share_kind),
            parent_corp_id=message.parent_corp_id,
        )


def shares_from_proto(messages: Iterable[pb.AppShare]) -> tuple[AppShare, ...]:
    """Return the shares of some messages, in their order."""
    return tuple(AppShare.from_proto(message) for message in messages)


@dataclass(frozen=True, slots=True)
class AppShareSync:
    """The changes that a new listing at WeCom found."""

    added: tuple[AppShare, ...]
    removed: tuple[AppShare, ...]
    unchanged_count: int

    @classmethod
    def from_proto(cls, message: pb.SyncAppSharesResponse) -> Self:
        """Return the result of a message."""
        return cls(
            added=shares_from_proto(message.added),
            removed=shares_from_proto(message.removed),
            unchanged_count=message.unchanged_count,
        )


class ShareChangeType(StrEnum):
    """The type of a message of the watch."""

    SNAPSHOT = "snapshot"
    """Part of the current state; the first one replaces everything before it."""
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class AppShareChange:
    """Some shares, and what happened to them."""

    change_type: ShareChangeType | None
    """None for a type that is newer than this client."""
    shares: tuple[AppShare, ...]
    snapshot_complete: bool
    """True on the last message of a snapshot; a large one comes in several."""

    @classmethod
    def from_proto(cls, message: pb.WatchAppSharesResponse) -> Self:
        """Return the change of a message."""
        return cls(
            change_type=_CHANGE_TYPES.get(message.change_type),
            shares=shares_from_proto(message.shares),
            snapshot_complete=message.snapshot_complete,
        )


class AppShares:
    """The part of the client that lists which child corps an app is shared with."""

    _connection: Connection

    async def app_shares(
        self,
        app: str,
        share_kind: ShareKind | str | None = None,
        *,
        parent: str = "",
    ) -> AsyncGenerator[AppShare]:
        """Yield the shares of an app that the broker knows, page by page. Raises BrokerError.

        A suite needs the `parent`: the corp whose shares are meant.
        """
        kind = None if share_kind is None else ShareKind(share_kind)
        request = pb.ListAppSharesRequest(app=app, share_kind=SHARE_KIND_NUMBERS[kind], parent_corp_id=parent)
        while True:
            page = await self._connection.call(self._connection.stubs.app_shares.ListAppShares, request)
            for message in page.shares:
                yield AppShare.from_proto(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def sync_app_shares(self, app: str, *, parent: str = "") -> AppShareSync:
        """Have the broker list the shares of an app at WeCom again; a suite needs the `parent`.

        Raises BrokerError.
        """
        request = pb.SyncAppSharesRequest(app=app, parent_corp_id=parent)
        response = await self._connection.call(self._connection.stubs.app_shares.SyncAppShares, request)
        return AppShareSync.from_proto(response)

    async def watch_app_shares(self, app: str, *, parent: str = "") -> AsyncGenerator[AppShareChange]:
        """Yield the current shares of an app, then each change; a suite needs the `parent`.

        After a restart of the broker it sends a new snapshot, which replaces everything before it.
        Raises BrokerError.
        """
        request = pb.WatchAppSharesRequest(app=app, parent_corp_id=parent)
        watch = self._connection.follow(self._connection.stubs.app_shares.WatchAppShares, request)
        async with aclosing(watch) as changes:
            async for change in changes:
                yield AppShareChange.from_proto(change)


_CHANGE_TYPES: dict[int, ShareChangeType] = {
    pb.SHARE_CHANGE_TYPE_SNAPSHOT: ShareChangeType.SNAPSHOT,
    pb.SHARE_CHANGE_TYPE_ADDED: ShareChangeType.ADDED,
    pb.SHARE_CHANGE_TYPE_REMOVED: ShareChangeType.REMOVED,
}
