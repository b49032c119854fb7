"""An event or message that WeCom pushed to the broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from wecom_broker._target import SHARE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wecom_broker._target import ShareKind
    from wecom_broker.v1 import event_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Event:
    """An event or message of WeCom's (事件与消息). Its repr does not show what people wrote."""

    event_id: str
    """The broker's id for it, the same in all groups; empty for an event that the broker does not store."""
    app: str
    """The app whose callback URL was called."""
    corp_id: str
    """The corp it is about: the app's own, or a child."""
    share_kind: ShareKind | None
    """How the app reaches that corp; None for the app's own, or if unknown."""
    agent_id: int
    """The app's agent id in that corp."""
    user_id: str
    """The user who caused it; empty where WeCom itself did. Encrypted for 上下游."""
    event_type: str
    """Event of an event (share_agent_change, …), InfoType of a suite's, else MsgType (text, …)."""
    change_type: str
    """ChangeType where there is one."""
    create_time: datetime
    """When WeCom created it; if WeCom does not say, when the broker received it."""
    receive_time: datetime
    """When the broker received it."""
    fields: Mapping[str, str] = field(repr=False, hash=False)
    """The elements of the message by name; nested ones as "Outer.Inner", repeated ones joined by ","."""
    xml: str = field(repr=False)
    """The whole message as WeCom wrote it: XML, or JSON for products that send JSON."""
    corp_unknown: bool
    """Whether the corp is neither the app's own nor in the share list, even after a new listing."""
    delivery_count: int
    """How often the group got it, this time included; 0 if it was not delivered to a group."""

    @classmethod
    def from_proto(cls, message: pb.Event, delivery_count: int = 0) -> Self:
        """Return the event of a message."""
        return cls(
            event_id=message.event_id,
            app=message.app,
            corp_id=message.corp_id,
            share_kind=SHARE_KINDS.get(message.share_kind),
            agent_id=message.agent_id,
            user_id=message.user_id,
            event_type=message.event_type,
            change_type=message.change_type,
            create_time=message.create_time.ToDatetime(UTC),
            receive_time=message.receive_time.ToDatetime(UTC),
            fields=dict(message.fields),
            xml=message.xml,
            corp_unknown=message.corp_unknown,
            delivery_count=delivery_count,
        )
