"""A callback URL: whose it is, what is accepted there, and what follows from it."""

from datetime import timedelta
from typing import Protocol

from broker.domain.credentials import CredentialKey
from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem, Event
from broker.domain.events.receiver import ReceiverForm
from broker.protocol.callbacks.message import Message
from broker.usecases.callbacks.settings import CallbackSettings


class Callback(Protocol):
    """One URL, resolved once for each call."""

    @property
    def name(self) -> str:
        """Return the name of the app, suite or provider."""

    @property
    def settings(self) -> CallbackSettings:
        """Return how its callbacks are checked."""

    @property
    def store_patience(self) -> timedelta:
        """Return how long a callback may wait for a store that restarts."""

    async def echo_form(self, receive_id: str) -> ReceiverForm:
        """Return what the receiver of a verification is. Raises `EnvelopeRejected` for another's."""

    async def event(self, message: Message, receive_id: str) -> tuple[Event, ReceiverForm]:
        """Return the event of a message, and what its receiver is. Raises `EnvelopeRejected`."""

    def sender_key(self) -> CredentialKey | None:
        """Return the key of a token with which WeCom's addresses can be listed, if there is one."""

    async def before_append(self, message: Message, /) -> None:
        """Write what must survive before the callback is answered. Raises `StoreUnavailable`."""

    def notices(self, event: Event, /) -> list[str]:
        """Return what the fleet is told when the event is written."""

    def after_append(self, event: Event, /, *, is_new: bool) -> None:
        """Start in the background what the event calls for; the fleet was told of a new one."""

    async def reply_receiver(self, corp_id: str, /) -> str:
        """Return the receiveid of a passive reply to that corp."""

    async def may_call(self, receiver: str, name: str, /) -> bool:
        """Return whether a reply sealed for that receiver may say that it is from `name`."""


def sealed_for_another(receive_id: str) -> EnvelopeRejected:
    """Return the refusal of a callback for somebody else."""
    return EnvelopeRejected(
        EnvelopeProblem.RECEIVE_ID, "it is sealed for another receiver", receive_id=receive_id[:64]
    )


def about_another(field: str, value: str) -> EnvelopeRejected:
    """Return the refusal of a message that names somebody else."""
    return EnvelopeRejected(
        EnvelopeProblem.RECEIVE_ID, f"its {field} is another's, or is missing", **{field: value[:64]}
    )
