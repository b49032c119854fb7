"""How a page is signed again: with the same tickets, at another time, over other nonces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.domain.credentials import Credential, CredentialKind
from broker.domain.ports.clock import Clock, Randomness
from broker.protocol.js_sdk import Signer, after_nonce, signed_part
from broker.server.grpc import messages
from broker.usecases.credentials.cache import CacheEntry, CredentialCache
from broker.usecases.shares.targets import Targets
from broker.usecases.signing import Signature

NONCE, SIGNATURE = "\1" * 32, "\2" * 40
"""What stands for them in a response that is made ready; no other field can hold it."""


@dataclass(slots=True)
class WarmTicket:
    """A ticket that signs the page."""

    entry: CacheEntry
    credential: Credential
    signer: Signer


@dataclass(slots=True)
class WarmPage:
    """A page that a caller got signed."""

    method: "WarmPages"
    tickets: Sequence[WarmTicket]
    version: int
    """That of the targets: another one may mean another corp by the same words."""
    url: str
    timestamp: int = -1
    after_nonce: bytes = b""
    response: list[bytes] = field(default_factory=list)
    """What stands before, between and after nonces and signatures, in this second."""

    def again(self) -> bytes | None:
        """See `Kept.again`."""
        return self.method.answer(self)


class WarmPages:
    """Repeat a method of `JsSdkService` where its tickets would come from memory without a further look."""

    def __init__(
        self,
        kinds: Sequence[CredentialKind],
        respond: Callable[..., Any],
        targets: Targets,
        memory: CredentialCache,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Sign with tickets of these kinds; `respond` makes a response of that many signatures."""
        self._kinds = kinds
        self._respond = respond
        self._targets = targets
        self._memory = memory
        self._clock = clock
        self._randomness = randomness

    def keep(self, request: Any, _response: Any) -> WarmPage | None:  # noqa: ANN401 - three methods' messages
        """See `Repetition.keep`."""
        key = self._targets.located(messages.target(request.target))
        if key is None:
            return None
        tickets = []
        for kind in self._kinds:
            entry = self._memory.find(key.of_kind(kind))
            credential = entry.credential if entry else None
            if entry is None or credential is None:
                return None
            tickets.append(WarmTicket(entry, credential, Signer(credential.value)))
        return WarmPage(self, tickets, self._targets.version, signed_part(request.url))

    def answer(self, kept: WarmPage) -> bytes | None:
        """Sign the page again; None if only the whole chain can tell."""
        now = self._clock.seconds()
        for ticket in kept.tickets:
            entry = ticket.entry
            if entry.credential is not ticket.credential or now >= entry.fresh_until:
                return None
        if kept.version != self._targets.version:
            return None
        timestamp = int(now)
        if timestamp != kept.timestamp:
            self._make_ready(kept, timestamp)
        written = [*kept.response]
        for place, ticket in enumerate(kept.tickets):
            ticket.entry.used_at = now
            nonce = self._randomness.unguessable().encode()
            written[4 * place + 1] = nonce
            written[4 * place + 3] = ticket.signer.sign(nonce, kept.after_nonce).encode()
        return b"".join(written)

    def _make_ready(self, kept: WarmPage, timestamp: int) -> None:
        """Write the response of this second, but for nonces and signatures."""
        keys = [(ticket.credential.key, ticket.credential.generation) for ticket in kept.tickets]
        signatures = [
            Signature(key.corp_id, key.agent_id, timestamp, NONCE, SIGNATURE, generation)
            for key, generation in keys
        ]
        rest = self._respond(*signatures).SerializeToString()
        kept.response = []
        for _ in keys:
            for gap in (NONCE, SIGNATURE):
                before, found, rest = rest.partition(gap.encode())
                kept.response += before, found
        kept.response.append(rest)
        kept.timestamp, kept.after_nonce = timestamp, after_nonce(timestamp, kept.url)
