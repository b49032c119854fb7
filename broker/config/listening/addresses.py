"""Every address at which the broker listens, described alike, so that each rule is written once for all."""

import ipaddress
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from broker.config.schema import Config


@dataclass(frozen=True, slots=True)
class ListeningAddress:
    """One of them; what is served there decides what it needs off loopback."""

    key: str
    address: str
    tls_key: str
    """The key that would give it TLS; empty if it has none, for a proxy in front of it has TLS."""
    has_tls: bool
    serves_callers: bool
    """Whether it answers callers: they must be configured, and what they get must be encrypted on the way."""
    risk: str
    """Who can read what, and what to do, while it is off loopback without TLS."""

    @property
    def is_socket(self) -> bool:
        """Return whether this is a socket file."""
        return self.address.startswith("unix:")

    @property
    def is_local(self) -> bool:
        """Return whether only this machine reaches it."""
        return self.is_socket or is_loopback(self.address.rpartition(":")[0].strip("[]"))

    @property
    def is_chosen_later(self) -> bool:
        """Return whether the system chooses the port when the broker starts."""
        return self.address.endswith(":0")


def listening_addresses(config: Config) -> Iterator[ListeningAddress]:
    """Yield all that this configuration opens; a new listener is one entry more."""
    server = config.server
    for position, listener in enumerate(server.listeners):
        yield ListeningAddress(
            f"server.grpc[{position}]",
            listener.address,
            "server.tls",
            has_tls=server.tls is not None,
            serves_callers=True,
            risk="whoever is on the way reads tokens, and what proves the callers; set server.tls",
        )
    yield ListeningAddress(
        "server.http",
        server.http,
        "",
        has_tls=False,
        serves_callers=False,
        risk=(
            "whoever reaches it reads the metrics, which name apps and callers;"
            " let only a proxy and Prometheus reach it"
        ),
    )
    if (console := config.console).listen:
        yield ListeningAddress(
            "console.listen",
            console.listen,
            "console.tls",
            has_tls=console.tls is not None,
            serves_callers=True,
            risk="whoever is on the way reads what operators see, and what proves them; set console.tls",
        )


def exposed_addresses(config: Config, broken: AbstractSet[int | str]) -> Iterator[str]:
    """Yield what is missing for addresses that other machines reach; `--insecure` does without."""
    for place in listening_addresses(config):
        if place.is_local or not place.serves_callers:
            continue
        if not place.has_tls:
            yield f"{place.key}: {place.address} is off loopback and needs {place.tls_key} (or --insecure)"
        if not config.callers and "callers" not in broken:
            yield f"callers: at least one is required, {place.address} is off loopback (or --insecure)"


def clashing_addresses(config: Config) -> Iterator[str]:
    """Yield the addresses that cannot be opened beside the others: workers would share them, one silently."""
    taken: dict[str, str] = {}
    for place in listening_addresses(config):
        first = taken.setdefault(place.address, place.key)
        if first != place.key and not place.is_chosen_later:
            yield f"{place.key}: {place.address} is the address of {first} already"
        if place.is_socket and config.server.workers > 1:
            yield f"{place.key}: a socket file serves one process; use host:port with more workers"


def clear_text_addresses(config: Config) -> Iterator[str]:
    """Yield a warning for each address that other machines reach without TLS."""
    for place in listening_addresses(config):
        if not place.is_local and not place.has_tls:
            yield f"{place.key}: {place.address} is off loopback, without TLS: {place.risk}"


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
