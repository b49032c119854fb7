"""The caller's identity: by the client certificate's name, or by a bearer token."""

import hashlib
import hmac
from contextvars import ContextVar

from broker.domain.access import ANYONE, Caller
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import Unauthenticated
from broker.server.grpc.context import Context

current_caller: ContextVar[Caller] = ContextVar("current_caller", default=ANYONE)
"""The caller of the request that this task handles."""


class Identity:
    """Recognise the configured callers."""

    def __init__(self, policy: CallerPolicy) -> None:
        self._policy = policy
        self._by_name: dict[str, Caller] = {}
        self._by_token: list[tuple[bytes, Caller]] = []
        self._proved: dict[str, Caller] = {}
        self._learn()
        policy.on_change(self._learn)

    def _learn(self) -> None:
        """Take over who is configured now."""
        callers = self._policy.callers
        self._by_name = {caller.identity: caller for caller in callers if caller.identity}
        self._by_token = [(caller.token_sha256.encode(), caller) for caller in callers if caller.token_sha256]
        self._proved.clear()

    def of(self, context: Context) -> Caller:
        """Return who calls. Raises `Unauthenticated`."""
        if self._policy.is_open:
            return ANYONE
        if self._by_name and (caller := self._by_certificate(context)):
            return caller
        for name, value in context.invocation_metadata() or ():
            if name == "authorization":
                return self._by_bearer(value if isinstance(value, str) else value.decode(errors="replace"))
        raise Unauthenticated("no known client certificate and no bearer token")

    def _by_certificate(self, context: Context) -> Caller | None:
        properties = context.auth_context()
        for uri in properties.get("peer_uri", ()):
            found = uri.decode(errors="replace")
            # A URI may begin like our form of a DNS name, but does not prove one.
            if not found.startswith("dns:") and (caller := self._by_name.get(found)):
                return caller
        for name in properties.get("peer_dns", ()):
            if caller := self._by_name.get(f"dns:{name.decode(errors='replace')}"):
                return caller
        return None

    def _by_bearer(self, header: str) -> Caller:
        # Only headers that were proved before are in here; the timing of a dict reveals nothing about them.
        if caller := self._proved.get(header):
            return caller
        scheme, _, token = header.partition(" ")
        digest = hashlib.sha256(token.strip().encode()).hexdigest().encode()
        found = None
        for expected, caller in self._by_token:
            # All are compared, each in constant time: timing reveals neither order nor content.
            if hmac.compare_digest(expected, digest):
                found = caller
        if found is None or scheme.lower() != "bearer":
            raise Unauthenticated("the bearer token is not a known caller's")
        if len(self._proved) < 4 * len(self._by_token):
            self._proved[header] = found
        return found
