"""Where callbacks may come from: WeCom's own addresses, as it lists them (wecom-api A13)."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from broker.domain.apps import App
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, EnvelopeRejected
from broker.domain.events import EnvelopeProblem
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.wecom import WecomAddresses
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.recovery_budget import begin_recovery_budget

PULLED_EVERY = timedelta(days=1)
PULLED_AGAIN = timedelta(minutes=10)
"""How soon at the earliest a stranger makes us look again: the list may have changed."""
LOOKUP_SECONDS = 0.5
"""A verification of the URL must be answered within a second (wecom-api C1)."""
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Known:
    """What WeCom listed; the list before too, for in a change both hold for a while."""

    networks: frozenset[IPv4Network | IPv6Network] = frozenset()
    before: frozenset[IPv4Network | IPv6Network] = frozenset()
    tried_at: datetime = field(default=NEVER)


class SenderAllowlist:
    """Tell WeCom's addresses from others."""

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
        self._known: dict[str, Known] = {}
        self._flights: SingleFlight[str, None] = SingleFlight(tasks)

    async def check(self, app: App, sender: str) -> None:
        """Return if the address is WeCom's. Raises `EnvelopeRejected`.

        As long as no list could be had, every address passes: the signature is what proves the sender.
        """
        known = self._known.setdefault(app.name, Known())
        due = PULLED_EVERY if _is_among(sender, known) else PULLED_AGAIN
        # A moment ahead was taken before the clock was set back.
        if not timedelta(0) <= self._clock.now() - known.tried_at < due:
            try:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    await self._flights.join(app.name, lambda: self._pull(app, known))
            except (BrokerError, TimeoutError) as error:
                self._observer.background_failed(f"pulling WeCom's addresses for {app.name}", error)
        if known.networks and not _is_among(sender, known):
            raise EnvelopeRejected(EnvelopeProblem.SENDER, "the sender is not WeCom", sender=sender)

    async def _pull(self, app: App, known: Known) -> None:
        known.tried_at = self._clock.now()
        begin_recovery_budget()
        listed = await self._engine.using(
            CredentialKey.own_token(app), self._addresses.fetch_callback_addresses
        )
        networks = frozenset(network for address in listed if (network := _network(address)))
        if networks and networks != known.networks:
            known.before, known.networks = known.networks, networks


def _network(listed: str) -> IPv4Network | IPv6Network | None:
    """Return an address or range that WeCom lists; None for what is neither."""
    try:
        return ip_network(listed, strict=False)
    except ValueError:
        return None


def _is_among(sender: str, known: Known) -> bool:
    try:
        address = ip_address(sender)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in known.networks | known.before)
