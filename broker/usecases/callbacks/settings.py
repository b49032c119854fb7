"""How callbacks are checked, as configured."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from broker.protocol.callbacks.envelope import CallbackKeys


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """How the callbacks of one app, suite, provider or client are checked."""

    keys: CallbackKeys
    max_age: timedelta | None
    """How far from now a timestamp may be, either way; None = any."""
    accept_child_receive_id: bool
    """Whether a callback may be sealed for a known child: for child events WeCom documents nothing."""
    check_sender: bool
    accept_empty_receive_id: bool = False
    """Whether a callback may have no receiver: 智能机器人 and personal subjects send such (wecom-api C2)."""

    def takes_nobody(self, receive_id: str) -> bool:
        """Return whether the callback has no receiver, and may have none."""
        return not receive_id and self.accept_empty_receive_id


@dataclass(frozen=True, slots=True)
class ClientCallbacks:
    """How the callbacks of a 代开发 app's clients are checked: each has a URL of its own."""

    default: CallbackSettings | None
    """Of the clients without keys of their own."""
    by_corp: Mapping[str, CallbackSettings]

    def of(self, corp_id: str) -> CallbackSettings | None:
        """Return the settings of a client; None if it has no callback."""
        return self.by_corp.get(corp_id, self.default)
