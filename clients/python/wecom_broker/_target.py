"""The target of a call: an app, and the corp in which it acts."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

from wecom_broker.v1 import target_pb2


class ShareKind(StrEnum):
    """How an app reaches a child corp; the values are those of the broker's configuration."""

    CORP_GROUP = "corp_group"
    """企业互联"""
    SUPPLY_CHAIN = "supply_chain"
    """上下游"""


SHARE_KIND_NUMBERS = {
    None: target_pb2.SHARE_KIND_UNSPECIFIED,
    ShareKind.CORP_GROUP: target_pb2.SHARE_KIND_CORP_GROUP,
    ShareKind.SUPPLY_CHAIN: target_pb2.SHARE_KIND_SUPPLY_CHAIN,
}
"""The number of each kind in messages, and of none."""

SHARE_KINDS: dict[int, ShareKind | None] = {number: kind for kind, number in SHARE_KIND_NUMBERS.items()}
"""The kind of each number in messages."""


def misnamed() -> TypeError:
    """Return the error for `corp_id`, which methods have only to say how the corp is given."""
    return TypeError("give the corp as corp=, not as corp_id=, its name in answers")


def corp_of(corp: str, corp_id: None) -> str:
    """Return the corp. Raises TypeError for one that is given as `corp_id`."""
    if corp_id is not None:
        raise misnamed()
    return corp


class Target(NamedTuple):
    """The target of a call: an app, and the corp in which it acts.

    Compares and hashes like a plain tuple, which keeps the warm read cheap.
    """

    app: str
    corp: str = ""
    share_kind: ShareKind | None = None
    agent_id: int = 0

    @classmethod
    def of(
        cls, app: str, corp: str, share_kind: ShareKind | str | None, agent_id: int, corp_id: None = None
    ) -> Self:
        """Return a checked target. Raises TypeError and ValueError for invalid arguments."""
        if corp_id is not None:
            raise misnamed()
        for name, value, wanted in (("app", app, str), ("corp", corp, str), ("agent_id", agent_id, int)):
            if not isinstance(value, wanted):
                raise TypeError(f"{name} must be {wanted.__name__}, not {type(value).__name__}")
        if not app:
            raise ValueError("app must not be empty")
        return cls(app, corp, None if share_kind is None else ShareKind(share_kind), agent_id)

    def to_proto(self) -> target_pb2.Target:
        """Return the protobuf message."""
        return target_pb2.Target(
            app=self.app,
            corp_id=self.corp,
            share_kind=SHARE_KIND_NUMBERS[self.share_kind],
            agent_id=self.agent_id,
        )
