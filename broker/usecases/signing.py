"""JS-SDK signatures, made with a ticket of the page's corp; the ticket never leaves the broker."""

from dataclasses import dataclass

from broker.domain.apps import Target
from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.ports.clock import Clock, Randomness
from broker.protocol.js_sdk import page_url, sign_url
from broker.usecases.access_tokens import check_report, replace_reported
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.limits.forced import NOBODY
from broker.usecases.shares.targets import Targets

DEAD_TICKET_CODES = frozenset({40093, 42012})
"""What a page is told when a signature was made with a dead or wrong ticket (wecom-api A5, D)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a front end needs; corp and agent id are the child's for a child's page (wecom-api A5)."""

    corp_id: str
    agent_id: int
    timestamp: int
    nonce: str
    signature: str
    generation: int


class Signing:
    """Sign pages with tickets that the engine keeps."""

    def __init__(
        self, targets: Targets, engine: CredentialEngine, clock: Clock, randomness: Randomness
    ) -> None:
        self._targets = targets
        self._engine = engine
        self._clock = clock
        self._randomness = randomness

    async def sign(self, target: Target, url: str, kind: CredentialKind) -> Signature:
        """Sign a page's URL, cut at '#', with that ticket. Raises as `AccessTokens.get`."""
        (signature,) = await self._sign(target, url, kind)
        return signature

    async def sign_page(self, target: Target, url: str) -> tuple[Signature, Signature]:
        """Sign for wx.config and for wx.agentConfig. Raises as `sign`."""
        config, agent = await self._sign(target, url, CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET)
        return config, agent

    async def report(
        self, target: Target, kind: CredentialKind, generation: int, errcode: int, by: str = NOBODY
    ) -> tuple[ReportOutcome, Credential]:
        """Replace a ticket whose signatures are refused, if it is still the current one.

        Raises `CallerLimited`, and as `sign`.
        """
        check_report(generation, errcode, DEAD_TICKET_CODES)
        key: CredentialKey = (await self._targets.locate(target)).of_kind(kind)

        async def replace(present: CredentialKey) -> tuple[ReportOutcome, Credential]:
            return await replace_reported(self._engine, key, present.of_kind(kind), generation, by)

        return await self._targets.reach(target, replace)

    async def _sign(self, target: Target, url: str, *kinds: CredentialKind) -> list[Signature]:
        url = page_url(url)

        async def tickets(key: CredentialKey) -> list[Credential]:
            return [await self._engine.get(key.of_kind(kind)) for kind in kinds]

        return [self._signed(ticket, url) for ticket in await self._targets.reach(target, tickets)]

    def _signed(self, ticket: Credential, url: str) -> Signature:
        nonce = self._randomness.unguessable()
        timestamp = int(self._clock.now().timestamp())
        signature = sign_url(ticket.value, nonce, timestamp, url)
        key = ticket.key
        return Signature(key.corp_id, key.agent_id, timestamp, nonce, signature, ticket.generation)
