"""The spans of requests: what a server tells of a call or a callback when it ends."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Headers = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class RpcOutcome:
    """How a call ended; texts are empty where they are unknown, or no rule lets the caller have them."""

    code: str
    """The name of the gRPC status."""
    number: int
    reason: str = ""
    caller: str = ""
    app: str = ""
    corp_id: str = ""


class RpcSpan(Protocol):
    """The span of one call."""

    @property
    def is_recording(self) -> bool:
        """Return whether what is noted is exported."""

    def ended(self, outcome: RpcOutcome) -> None:
        """Note how the call ended."""


class CallbackSpan(Protocol):
    """The span of one callback."""

    def ended(self, app: str, outcome: str, http_status: int) -> None:
        """Note how it was answered; `app` is empty if none of that name is configured."""


class RequestTracer(Protocol):
    """Begins the spans of requests, which end with the block."""

    def rpc(
        self, service: str, name: str, metadata: Headers, *, lasts: bool
    ) -> AbstractContextManager[RpcSpan]:
        """Handle a call, as a part of the trace that its metadata names.

        Of one that `lasts`, for days perhaps, only the first steps have spans, and calls to WeCom.
        """

    def callback(self, method: str, route: str, headers: Headers) -> AbstractContextManager[CallbackSpan]:
        """Handle a callback, in a trace of its own."""
