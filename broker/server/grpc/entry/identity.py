"""The caller's identity: by the client certificate's name, by a bearer token, or by the socket."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import NamedTuple

from broker.domain.access import ANYONE, Caller
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import Unauthenticated
from broker.domain.ports.clock import Clock
from broker.server.grpc.context import Context
from broker.server.grpc.listening.client_certificates import read_certificate

current_caller: ContextVar[Caller] = ContextVar("current_caller", default=ANYONE)
"""The caller of the request that this task handles."""

Metadata = Iterable[tuple[str, str | bytes]] | None
CERTIFICATES_KEPT = 4096
"""Certificates whose names are kept in memory; each renewal of a client brings another one."""


class Proof(NamedTuple):
    """What a certificate proves."""

    caller: Caller | None
    not_after: datetime
    ends: float
    """The same, in seconds since 1970."""


MOST_SPELLINGS = 4
"""How many headers of one caller are remembered: with blanks, there are any number that prove the same."""


class Identity:
    """Recognise the configured callers on one listener."""

    def __init__(
        self, policy: CallerPolicy, clock: Clock, *, everybody: str = "", all_have_certificates: bool = False
    ) -> None:
        """On a socket where everybody is the same caller, `everybody` is its name.

        Where `all_have_certificates`, nobody connects without one of the client CA's.
        """
        self._policy = policy
        self._clock = clock
        self._everybody = everybody
        self._all_have_certificates = all_have_certificates
        self._is_open = False
        self._by_name: dict[str, Caller] = {}
        self._by_token: list[tuple[bytes, Caller]] = []
        self._proved: dict[str | bytes, Caller] = {}
        self._spellings: Counter[str] = Counter()
        """How many headers of each caller are in there."""
        self._certificates: dict[bytes, Proof] = {}
        self._learn()
        policy.on_change(self._learn)

    def _learn(self) -> None:
        """Take over who is configured now."""
        callers = self._policy.callers
        self._is_open = self._policy.is_open
        self._by_name = {caller.identity: caller for caller in callers if caller.identity}
        self._by_token = [(caller.token_sha256.encode(), caller) for caller in callers if caller.token_sha256]
        self._proved.clear()
        self._spellings.clear()
        self._certificates.clear()

    def of(self, context: Context) -> Caller:
        """Return who calls. Raises `Unauthenticated`."""
        if self._everybody:
            return self._of_this_socket()
        if self._is_open:
            return ANYONE
        problem = "no known client certificate and no bearer token"
        for pem in context.auth_context().get("x509_pem_cert", ()) if self._by_name else ():
            caller, not_after, ends = self._by_certificate(pem)
            if caller and self._clock.seconds() <= ends:
                return caller
            if caller:
                problem = f"the client certificate expired at {not_after:%Y-%m-%dT%H:%M:%SZ}"
        for name, value in context.invocation_metadata() or ():
            if name == "authorization":
                return self._by_bearer(value if isinstance(value, str) else value.decode(errors="replace"))
        raise Unauthenticated(problem)

    def may_be_stranger(self, metadata: Metadata) -> bool:
        """Return whether nothing proves the caller that is known before the request is read."""
        if self._everybody or self._is_open or self._all_have_certificates:
            return False
        for name, value in metadata or ():
            if name == "authorization":
                return value not in self._proved
        return True

    def known(self, metadata: Metadata) -> Caller | None:
        """Return who calls, if the metadata alone tells; if not, `of` tells or refuses."""
        if self._everybody:
            return self._policy.named(self._everybody)
        if self._is_open:
            return ANYONE
        # A certificate would come first.
        if not self._by_name:
            for name, value in metadata or ():
                if name == "authorization":
                    return self._proved.get(value)
        return None

    def certificate_lasts(self, context: Context) -> timedelta | None:
        """Return for how long the certificate of who calls is still good; None if another proof counts."""
        if self._everybody or self._is_open or not self._by_name:
            return None
        now = self._clock.now()
        proved = (self._by_certificate(pem) for pem in context.auth_context().get("x509_pem_cert", ()))
        return next((end - now for caller, end, _ in proved if caller and now <= end), None)

    def _of_this_socket(self) -> Caller:
        caller = self._policy.named(self._everybody)
        if caller is None:
            raise Unauthenticated(f"the caller of this socket, {self._everybody}, is no longer configured")
        return caller

    def _by_certificate(self, pem: bytes) -> Proof:
        """Return whose certificate it is, and until when."""
        if found := self._certificates.get(pem):
            return found
        certificate = read_certificate(pem)
        callers = (self._by_name.get(name) for name in certificate.identities)
        caller, not_after = next((caller for caller in callers if caller), None), certificate.not_after
        found = Proof(caller, not_after, not_after.timestamp())
        if len(self._certificates) >= CERTIFICATES_KEPT:
            self._certificates.clear()
        self._certificates[pem] = found
        return found

    def _by_bearer(self, header: str) -> Caller:
        # Only headers that were proved before are in here; the timing of a dict reveals nothing about them.
        if caller := self._proved.get(header):
            return caller
        scheme, _, token = header.partition(" ")
        digest = hashlib.sha256(token.strip().encode(errors="surrogatepass")).hexdigest().encode()
        found = None
        for expected, caller in self._by_token:
            # All are compared, each in constant time: timing reveals neither order nor content.
            if hmac.compare_digest(expected, digest):
                found = caller
        if found is None or scheme.lower() != "bearer":
            raise Unauthenticated("the bearer token is not a known caller's")
        if self._spellings[found.name] < MOST_SPELLINGS:
            self._spellings[found.name] += 1
            self._proved[header] = found
        return found
