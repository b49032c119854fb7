"""The addresses that callbacks may come from, as WeCom lists them (wecom-api A13)."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.wecom import WecomAddresses
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.recovery_budget import begin_recovery_budget

REFRESH_INTERVAL = timedelta(days=1)
STRANGER_REFRESH_INTERVAL = timedelta(minutes=10)
"""How often an unlisted sender may trigger a refresh: the list may have changed."""
LOOKUP_SECONDS = 0.5
"""A verification of the URL must be answered within a second (wecom-api C1)."""
IPV4_BYTES = 4
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Listed:
    """What WeCom listed, and the list before: during a change both are valid for a while."""

    networks: frozenset[IPv4Network | IPv6Network] = frozenset()
    previous: frozenset[IPv4Network | IPv6Network] = frozenset()
    tried_at: datetime = field(default=NEVER)


class SenderAllowlist:
    """Check senders against WeCom's addresses."""

    def __init__(
        self,
        engine: CredentialEngine,
        addresses: WecomAddresses,
        clock: Clock,
        observer: Observer,
        tasks: Background,
    ) -> None:
        self._engine = engine
        self._addresses = addresses
        self._clock = clock
        self._observer = observer
        self._listed: dict[str, Listed] = {}
        self._flights: SingleFlight[str, None] = SingleFlight(tasks)

    async def check(self, app: str, key: CredentialKey | None, sender: str) -> None:
        """Return if the address is WeCom's. Raises `EnvelopeRejected`.

        `key` is that of a token which may list them. Until a list was fetched, every address passes: the
        signature is what proves the sender.
        """
        listed = self._listed.setdefault(app, Listed())
        due = REFRESH_INTERVAL if _is_among(sender, listed) else STRANGER_REFRESH_INTERVAL
        # An attempt in the future dates from before the clock was set back.
        if key and not timedelta(0) <= self._clock.now() - listed.tried_at < due:
            try:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    await self._flights.join(app, lambda: self._fetch(key, listed))
            except (BrokerError, TimeoutError) as error:
                self._observer.background_failed(f"pulling WeCom's addresses for {app}", error)
        if listed.networks and not _is_among(sender, listed):
            raise EnvelopeRejected(EnvelopeProblem.SENDER, "the sender is not WeCom", sender=sender)

    async def _fetch(self, key: CredentialKey, listed: Listed) -> None:
        listed.tried_at = self._clock.now()
        begin_recovery_budget()
        addresses = await self._engine.using(key, self._addresses.fetch_callback_addresses)
        read = {address: _network(address) for address in addresses}
        if unread := [address for address, network in read.items() if network is None]:
            problem = ValueError(f"neither an address nor a range: {unread[0]!r}, one of {len(unread)}")
            self._observer.background_failed(f"reading WeCom's addresses for {key.app}", problem)
        networks = frozenset(network for network in read.values() if network)
        if networks and networks != listed.networks:
            listed.previous, listed.networks = listed.networks, networks


def _network(address: str) -> IPv4Network | IPv6Network | None:
    """Return an address, a range or a wildcard such as `101.226.103.*` that WeCom lists; None for others."""
    fixed = address.rstrip(".*").split(".")
    if address.endswith(".*") and len(fixed) < IPV4_BYTES:
        zeros = ["0"] * (IPV4_BYTES - len(fixed))
        address = f"{'.'.join([*fixed, *zeros])}/{8 * len(fixed)}"
    try:
        return ip_network(address, strict=False)
    except ValueError:
        return None


def _is_among(sender: str, listed: Listed) -> bool:
    try:
        address = ip_address(sender)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in listed.networks | listed.previous)
