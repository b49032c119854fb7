"""Which child corps an app is shared with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from wecom_broker._target import SHARE_KINDS
from wecom_broker.v1 import app_share_service_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wecom_broker._target import ShareKind


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

    @classmethod
    def from_proto(cls, message: app_share_service_pb2.AppShare) -> Self:
        """Return the share of a message."""
        return cls(
            app=message.app,
            corp_id=message.corp_id,
            corp_name=message.corp_name,
            agent_id=message.agent_id,
            share_kind=SHARE_KINDS.get(message.share_kind),
        )


def shares_from_proto(messages: Iterable[app_share_service_pb2.AppShare]) -> tuple[AppShare, ...]:
    """Return the shares of some messages, in their order."""
    return tuple(AppShare.from_proto(message) for message in messages)


@dataclass(frozen=True, slots=True)
class AppShareSync:
    """What a new listing at WeCom changed."""

    added: tuple[AppShare, ...]
    removed: tuple[AppShare, ...]
    unchanged_count: int

    @classmethod
    def from_proto(cls, message: app_share_service_pb2.SyncAppSharesResponse) -> Self:
        """Return the result of a message."""
        return cls(
            added=shares_from_proto(message.added),
            removed=shares_from_proto(message.removed),
            unchanged_count=message.unchanged_count,
        )


class ShareChangeType(StrEnum):
    """What a message of the watch tells."""

    SNAPSHOT = "snapshot"
    """Part of the present state; the first one replaces all that was known before."""
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
    def from_proto(cls, message: app_share_service_pb2.WatchAppSharesResponse) -> Self:
        """Return the change of a message."""
        return cls(
            change_type=_CHANGE_TYPES.get(message.change_type),
            shares=shares_from_proto(message.shares),
            snapshot_complete=message.snapshot_complete,
        )


_CHANGE_TYPES: dict[int, ShareChangeType] = {
    app_share_service_pb2.SHARE_CHANGE_TYPE_SNAPSHOT: ShareChangeType.SNAPSHOT,
    app_share_service_pb2.SHARE_CHANGE_TYPE_ADDED: ShareChangeType.ADDED,
    app_share_service_pb2.SHARE_CHANGE_TYPE_REMOVED: ShareChangeType.REMOVED,
}
