"""An access token, with what is needed to use it and to report it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from wecom_broker._target import Target
    from wecom_broker.v1 import token_service_pb2


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, with what is needed to use it and to report it. Only `.value` shows the secret."""

    value: str = field(repr=False)
    expire_time: datetime
    """By the broker's clock; the client measures the remaining life with its own clock."""
    corp_id: str
    """The corp on whose behalf the token acts."""
    agent_id: int
    """The app's agent id in that corp."""
    generation: int
    """Increases with every rotation, and never decreases, while corp and agent id stay the same."""
    target: Target
    """The target that it was requested for."""

    @classmethod
    def from_proto(cls, message: token_service_pb2.AccessToken, target: Target) -> Self:
        """Return the token in a message for the target."""
        return cls(
            value=message.value,
            expire_time=message.expire_time.ToDatetime(UTC),
            corp_id=message.corp_id,
            agent_id=message.agent_id,
            generation=message.generation,
            target=target,
        )
