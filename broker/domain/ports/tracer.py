"""Spans of what a request waits for, below the span of the request itself."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self


class CallSpan(Protocol):
    """The span of one call to WeCom."""

    def ended(self, outcome: str, http_status: int) -> None:
        """Note an errcode, or a word for why there is none; the status is 0 if WeCom did not answer."""


class Tracer(Protocol):
    """Begins spans, which end with the block.

    What it is told leaves the broker: names that are in the code. Never a secret, a key or an argument.
    """

    def lease_wait(self, kind: str) -> AbstractContextManager[object]:
        """Wait for whoever holds the lease of a thing of that kind."""

    def store_script(self, name: str) -> AbstractContextManager[object]:
        """Run a script of the store, or what is one transaction there."""

    def wecom_call(self, method: str, path: str) -> AbstractContextManager[CallSpan]:
        """Call a path of WeCom. A path that a caller chose must not get here unchecked."""


class NoTracer:
    """Begin no span: tracing is off."""

    def lease_wait(self, kind: str) -> "NoSpan":  # noqa: ARG002 - see `Tracer`
        """See `Tracer.lease_wait`."""
        return NO_SPAN

    def store_script(self, name: str) -> "NoSpan":  # noqa: ARG002 - see `Tracer`
        """See `Tracer.store_script`."""
        return NO_SPAN

    def wecom_call(self, method: str, path: str) -> "NoSpan":  # noqa: ARG002 - see `Tracer`
        """See `Tracer.wecom_call`."""
        return NO_SPAN


class NoSpan:
    """No span."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def ended(self, outcome: str, http_status: int) -> None:
        """See `CallSpan.ended`."""


NO_SPAN = NoSpan()
NO_TRACER = NoTracer()
