"""What is reported to operators."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError
from broker.domain.events.log import Lag
from broker.domain.events.receiver import ReceiverForm
from broker.domain.replica.clocks import ClockComparison
from broker.domain.shares import AppShare


class Durability(StrEnum):
    """What is known of a write that must not be lost."""

    PROVEN = "proven"
    """It is on disk, or on replicas."""
    LATE = "late"
    """The store did not say so in time."""
    UNPROVEN = "unproven"
    """The store cannot say."""


class Damage(StrEnum):
    """What was found in the store that no broker wrote there."""

    RECORD = "record"
    """It does not open, or is not what its name and number say."""
    KEY_UNKNOWN = "key_unknown"
    """A record is sealed with a key that this broker does not have: a rotation of keys, or a forgery."""
    EVENT = "event"
    TYPE = "type"
    """A key in Redis that holds something of another type."""
    COMMIT = "commit"
    """The store refuses one commit after the other."""


class Observer(Protocol):
    """Logs and counts what operators want to see, and never gets a secret."""

    def upstream_called(
        self, endpoint: str, outcome: str, duration: timedelta, *, of_caller: bool = False, problem: str = ""
    ) -> None:
        """WeCom was called; the outcome is an errcode, or a word for why there is none, `problem` says more.

        What a caller sent (`of_caller`) may have failed because of that: it says nothing about WeCom.
        """

    def lease_waited(self, name: str, duration: timedelta) -> None:
        """A fetch waited for somebody else's lease."""

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        """A fetch ended: rotated, unchanged, superseded, or failed."""

    def fetch_forced(self, caller: str) -> None:
        """A caller has WeCom asked although the broker holds something valid."""

    def store_awaited(self, attempt: int, error: BrokerError) -> None:
        """A starting broker could not reach its store, and tries again."""

    def store_lost(self, error: BrokerError) -> None:
        """The store became unavailable; what is in memory is served."""

    def store_back(self) -> None:
        """The store answers again."""

    def durability_limited(self, problem: str) -> None:
        """A starting broker, which must not lose permanent codes, has a store that may lose the newest."""

    def durable_write_ended(self, outcome: Durability, problem: str = "") -> None:
        """A durable record was written; `problem` says why it is not proven to be on disk."""

    def replication_ended(self, outcome: Durability, problem: str = "") -> None:
        """An event or durable record was written; `problem` says why replicas are not proven to have it."""

    def damage_found(self, damage: Damage, problem: Exception) -> None:
        """Something in the store is not what a broker wrote; others are served as before."""

    def store_clock_compared(self, off: timedelta) -> None:
        """The store's clock was compared with this machine's; `off` says how far it is ahead."""

    def clocks_compared(self, comparison: ClockComparison) -> None:
        """The clocks that this replica hears were compared with the time that it goes by."""

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        """A listing has other shares than the one before."""

    def shares_ended_unannounced(self, app: str, ended: Iterable[AppShare]) -> None:
        """A listing lacks shares whose end no event of WeCom announced."""

    def shares_unreadable(self, app: str, share_kind: ShareKind, count: int) -> None:
        """Entries of a listing could not be read, and count as unchanged; `count` says how many."""

    def callback_ended(self, app: str, outcome: str, duration: timedelta) -> None:
        """A callback was answered; the outcome says what it was, or why it was refused."""

    def callback_addressed(self, app: str, form: ReceiverForm, receive_id: str) -> None:
        """A callback was accepted that was sealed for this receiver: the rules are partly undocumented."""

    def event_delivered(self, app: str, group: str, earlier: int) -> None:
        """An event was handed to a member of a group, after `earlier` deliveries of the same event."""

    def groups_lag(self, lags: Iterable[Lag]) -> None:
        """All groups were measured; `lags` says how far each is behind."""

    def background_failed(self, what: str, error: Exception) -> None:
        """A background task failed unexpectedly and goes on."""
