"""Where the Redis of a fleet is reached, and as whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from broker.domain.secret import Secret

NONE = Secret("")


class Topology(StrEnum):
    """How the servers of a store belong together."""

    SQLITE = "sqlite"
    STANDALONE = "standalone"
    """One address, which leads to the primary."""
    SENTINEL = "sentinel"
    """Sentinels know which server is the primary."""
    CLUSTER = "cluster"
    """Each primary has a part of the keys."""


class Host(NamedTuple):
    """A server's address."""

    name: str
    port: int

    def __str__(self) -> str:
        """Return it as in a URL."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password; an empty user is the server's default user, an empty password none."""

    user: str = ""
    password: Secret = NONE


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The servers, or the sentinels that know them."""

    topology: Topology
    hosts: tuple[Host, ...]
    """Of a cluster some members are enough: they name the others."""
    primary_name: str = ""
    """What the sentinels call the primary."""
    database: int = 0
    tls: Mapping[str, str] | None = field(default=None, hash=False)
    """Paths of PEM files by `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`; None = without TLS."""


class Logins:
    """Who a broker is at its servers and sentinels now; a reload replaces it, and new connections use it."""

    def __init__(self, servers: Login, sentinels: Login) -> None:
        self.servers = servers
        self.sentinels = sentinels

    def replace(self, servers: Login, sentinels: Login) -> None:
        """Take the logins of a new configuration."""
        self.servers, self.sentinels = servers, sentinels
