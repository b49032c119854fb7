"""An access token, and what is needed to use it and to report it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from wecom_broker._target import Target
    from wecom_broker.v1 import token_service_pb2


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, and what is needed to use it and to report it. Only `.value` shows the secret."""

    value: str = field(repr=False)
    expire_time: datetime
    """By the broker's clock; the client counts the life of a token by itself."""
    corp_id: str
    """The corp in whose name the token acts."""
    agent_id: int
    """The app's agent id in that corp."""
    generation: int
    """Grows with every rotation, and never goes back."""
    target: Target
    """The target it was asked for."""

    @classmethod
    def from_proto(cls, message: token_service_pb2.AccessToken, target: Target) -> Self:
        """Return the token of a message that answers for the target."""
        return cls(
            value=message.value,
            expire_time=message.expire_time.ToDatetime(UTC),
            corp_id=message.corp_id,
            agent_id=message.agent_id,
            generation=message.generation,
            target=target,
        )
