"""The tables and keys of the configuration file, and their defaults."""

import base64
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from broker.config.apps import AppTable, ProviderTable
from broker.config.callers import CallerTable
from broker.config.egress import Authorities, ProxyUrl, Resolve
from broker.config.field_types import (
    KeyId,
    Prefix,
    Seconds,
    Url,
    WritablePlace,
)
from broker.config.listening.tables import ConsoleTable, ServerTable
from broker.config.secrets.fields import AnySecret, SealKey
from broker.config.store_url import StoreUrl, login_in, place_of, redis_address
from broker.config.table import Table
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Login, RedisAddress


class SealKeyTable(Table):
    """One of `seal_keys`."""

    id: KeyId
    key: SealKey

    def key_bytes(self) -> bytes:
        """Return the key itself."""
        return base64.b64decode(self.key.reveal())


class StoreTable(Table):
    """`[store]`."""

    url: StoreUrl = Secret("sqlite:///wecom-broker.db")
    password: AnySecret | None = None
    """Of the user in `url`, apart from it: a file of its own may change while the broker runs."""
    sentinel_user: str = ""
    sentinel_password: AnySecret | None = None
    """Where sentinels have other users than the servers."""
    replicas_acknowledge: Annotated[int, Field(ge=0, le=10)] = 0
    """How many replicas are to have an event, a permanent code and the like before it counts."""
    prefix: Prefix = "wecom-broker"
    seal_keys: list[SealKeyTable] = []

    @property
    def is_embedded(self) -> bool:
        """Return whether the store is a file of this process alone."""
        return self.url.reveal().startswith("sqlite:")

    @property
    def place(self) -> str:
        """Return the address without user and password, for logs and errors."""
        return place_of(self.url)

    @property
    def address(self) -> RedisAddress:
        """Return where the servers are; only of a store that is not embedded."""
        return redis_address(self.url)

    @property
    def login(self) -> Login:
        """Return who the broker is at the servers."""
        written = login_in(self.url)
        return Login(written.user, self.password) if self.password else written

    @property
    def sentinel_login(self) -> Login:
        """Return who the broker is at the sentinels: the same as at the servers, unless another is named."""
        if self.sentinel_password is None:
            return self.login
        return Login(self.sentinel_user, self.sentinel_password)

    @property
    def path(self) -> Path:
        """Return the embedded store's file: `sqlite:///x.db` is relative, `sqlite:////x.db` absolute."""
        return Path(self.url.reveal().removeprefix("sqlite:///"))


class WecomTable(Table):
    """`[wecom]`."""

    api_base: Url = "https://qyapi.weixin.qq.com"
    oauth_base: Url = "https://open.weixin.qq.com"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    proxy: ProxyUrl | None = None
    ca: Authorities | None = None
    resolve: Resolve = {}

    @property
    def proxy_place(self) -> str:
        """Return the proxy's address without user and password; empty without a proxy."""
        return place_of(self.proxy).rstrip("/") if self.proxy else ""


class LogTable(Table):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


STDOUT = "stdout"


class TracingTable(Table):
    """`[tracing]`: whether there are spans; where they go is said by the variables of OpenTelemetry."""

    enabled: bool = False


class AuditTable(Table):
    """`[audit]`."""

    file: WritablePlace | None = None
    """A path, or `stdout`; None = in the log."""


class RefreshTable(Table):
    """`[refresh]`."""

    advisory: Annotated[float, Field(gt=0, lt=1)] = 0.8
    mandatory_seconds: Annotated[float, Field(ge=0, le=3600)] = 60
    cooldown_seconds: Seconds = 10
    share_sync_seconds: Seconds = 600


class EventsTable(Table):
    """`[events]`."""

    retention_seconds: Annotated[float, Field(ge=60, le=90 * 86400)] = 3 * 86400
    retention_count: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    ack_timeout_seconds: Annotated[float, Field(ge=1, le=3600)] = 60
    max_tries: Annotated[int, Field(ge=1, le=1000)] = 10


class Config(Table):
    """The whole file."""

    server: ServerTable = ServerTable()
    console: ConsoleTable = ConsoleTable()
    store: StoreTable = Field(default_factory=StoreTable)
    wecom: WecomTable = WecomTable()
    log: LogTable = LogTable()
    audit: AuditTable = AuditTable()
    tracing: TracingTable = TracingTable()
    refresh: RefreshTable = RefreshTable()
    events: EventsTable = EventsTable()
    providers: list[ProviderTable] = []
    apps: list[AppTable] = []
    callers: list[CallerTable] = []
