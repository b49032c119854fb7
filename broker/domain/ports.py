"""The ports: what the use cases need from the world, each as narrow as its users allow.

Every method of a store raises `StoreUnavailable` when the store is away, and nothing else.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from broker.domain.corps import AppShare, ShareKind
from broker.domain.credentials import Credential, Grant
from broker.domain.errors import BrokerError
from broker.domain.event_log import Lag
from broker.domain.secret import Secret
from broker.domain.users import User


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""


class Randomness(Protocol):
    """Randomness, as an argument."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""


@dataclass(frozen=True, slots=True)
class Record:
    """A named value with the fencing number of the commit that wrote it."""

    name: str
    fence: int
    payload: bytes
    keep_until: datetime
    """When the store may forget it."""

    @property
    def is_tombstone(self) -> bool:
        """Tell whether it stands for something forgotten on purpose."""
        return not self.payload


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fetch one thing, until it is released, lost or not renewed in time."""

    name: str
    owner: str
    """Unguessable: proves at commit that the lease was not lost."""
    fence: int
    """Larger than that of any earlier lease of this name, even if the store lost its data."""
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else holds the lease."""

    remaining: timedelta


class NoticeKind(StrEnum):
    """What a store tells everybody."""

    CONNECTED = "connected"
    """Notices may have been missed before: look again at everything."""
    COMMITTED = "committed"
    RELEASED = "released"
    FORGOTTEN = "forgotten"
    APPENDED = "appended"
    """An event came; its `fence` is when, in milliseconds."""
    AVAILABLE = "available"
    """What was held by one member of a group may be taken by another."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened to the record, lease or log of that name."""

    kind: NoticeKind
    name: str = ""
    fence: int = 0


class Records(Protocol):
    """Named values that all replicas share; a newer fencing number wins."""

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """Return those that exist."""

    async def commit(self, record: Record, lease: Lease) -> bool:
        """Write, release the lease and tell everybody, in one step (engine rule 3).

        False if the lease was lost or the store holds something newer: then nothing is changed.
        """

    async def offer(self, record: Record) -> bool:
        """Write and tell everybody unless the store holds the same or something newer."""

    async def replace(self, record: Record) -> bool:
        """Write another payload for the same fence, silently; False if the fence is another one."""

    async def forget(self, name: str, fence: int) -> None:
        """Leave a tombstone if the record is of that fence or older, and tell everybody."""


class Leases(Protocol):
    """One holder for each name in the whole fleet."""

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """Take the lease if it is free; its fence is above `floor` and above every earlier one."""

    async def renew(self, lease: Lease) -> bool:
        """Hold it for another `duration` from now; False if it was lost."""

    async def release(self, lease: Lease) -> None:
        """Give it back and tell everybody; does nothing if it was lost."""


class Counters(Protocol):
    """Counters of the whole fleet that start again with each window."""

    async def count(self, name: str, window: timedelta) -> int:
        """Add one, and return how many there are in the window that the first one opened."""

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """Return how many there are now; none = 0."""


class Store(Records, Leases, Counters, Protocol):
    """What all replicas of a broker share."""

    def notices(self) -> AsyncIterator[Notice]:
        """Yield what happens, for ever: CONNECTED first, and again after each lost connection."""

    async def ping(self) -> None:
        """Return if the store answers."""


class WecomApi(Protocol):
    """WeCom's endpoints. Raises `WecomRefused`, `RetryLater`, `CallerMistake`, `WecomProtocol`."""

    async def fetch_app_token(self, corp_id: str, secret: Secret) -> Grant:
        """Fetch an app's token in its own corp (wecom-api A1)."""

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        """Fetch the token of a child corp with the parent's; the agent id is the child's (A3)."""

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> list[AppShare]:
        """List the shares of the parent's app of that kind, all pages (A2)."""


Allow = Callable[[], Awaitable[None]]
"""Asked before each time that a call goes out, a repeat too; raises where it may not."""


class WecomTickets(Protocol):
    """WeCom's jsapi_tickets, few an hour. Raises as `WecomApi`, and what `allow` raises."""

    async def fetch_corp_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's corp (wecom-api A4)."""

    async def fetch_agent_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's app (A5)."""


@dataclass(frozen=True, slots=True)
class LoginSession:
    """What WeCom says of a mini-program user."""

    corp_id: str
    user_id: str
    session_key: Secret


class WecomUsers(Protocol):
    """Who a user is. Codes are sent once, whatever happens. Raises as `WecomApi`."""

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """Exchange the code of a web login (wecom-api A7)."""

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """Fetch what a user agreed to show (A8)."""

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """Exchange the code of a mini-program login; the token's app is bound to it (A9)."""

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """Turn a parent's session into the child's: the child's token, the parent's key (A10)."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call of any interface of WeCom, without its token."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What WeCom answered, as it came; the token is cut out."""

    errcode: int
    errmsg: str
    body: bytes


@dataclass(frozen=True, slots=True)
class MediaHead:
    """What a file is."""

    file_name: str
    content_type: str
    size: int = 0


class WecomGateway(Protocol):
    """WeCom's other interfaces; an errcode is an answer there. Raises `RetryLater`, `WecomProtocol`."""

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """Send one call, once."""

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file piece by piece; return the answer and the media_id."""

    def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield what the file is, then its pieces. Raises what an errcode means."""


class WecomAddresses(Protocol):
    """Where WeCom's own machines are. Raises as `WecomApi`."""

    async def fetch_callback_addresses(self, token: Credential) -> list[str]:
        """List the addresses and ranges that callbacks come from (wecom-api A13)."""


class UpstreamGate(Protocol):
    """Stands before each call to WeCom: counts it, and keeps it back while waiting is wiser."""

    async def before(self, endpoint: str, corp_id: str) -> None:
        """Return if the call may go out. Raises `RateLimited`, `WecomUnavailable` with `retry_after`."""

    async def after(self, endpoint: str, corp_id: str, error: BrokerError | None) -> None:
        """Learn how the call ended."""


class Observer(Protocol):
    """Hears what operators want to see; it logs and counts, and never gets a secret."""

    def upstream_called(self, endpoint: str, outcome: str, duration: timedelta) -> None:
        """WeCom was called; the outcome is an errcode, or a word for what kept one from coming."""

    def lease_waited(self, name: str, duration: timedelta) -> None:
        """A fetch waited for somebody else's lease."""

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        """A fetch ended: rotated, unchanged, superseded, or failed."""

    def store_lost(self, error: BrokerError) -> None:
        """The store went away; what is in memory is served."""

    def store_back(self) -> None:
        """The store answers again."""

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        """A listing found other shares than the one before."""

    def callback_ended(self, app: str, outcome: str, duration: timedelta) -> None:
        """A callback was answered; the outcome says what it was, or why it was refused."""

    def sealed_for_child(self, app: str, corp_id: str) -> None:
        """A callback was sealed for a child corp instead of the app's own: WeCom documents neither."""

    def event_delivered(self, app: str, group: str, tries: int) -> None:
        """An event was handed to a member of a group, after so many tries that came to nothing."""

    def groups_lag(self, lags: Iterable[Lag]) -> None:
        """All groups there are, and how far each is behind."""

    def background_failed(self, what: str, error: Exception) -> None:
        """A background task met something unexpected and goes on."""
