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

    def same_app(self, other: AccessToken) -> bool:
        """Return whether both are of one app in one corp: only then can their generations be compared.

        An app whose corp id or agent id is set back has its former token again, of a lower generation.
        """
        return (self.corp_id, self.agent_id) == (other.corp_id, other.agent_id)

    def is_newer_than(self, other: AccessToken) -> bool:
        """Return whether this is a later generation of the same app's token."""
        return self.same_app(other) and self.generation > other.generation

    def is_kept_over(self, arrived: AccessToken, refused: AccessToken | None) -> bool:
        """Return whether this one, which is valid, stays although the other has arrived.

        A token that WeCom refused never stays: it is the one that the other was asked for to replace.
        """
        if refused is not None and self.same_app(refused) and self.generation == refused.generation:
            return False
        return self.is_newer_than(arrived)
