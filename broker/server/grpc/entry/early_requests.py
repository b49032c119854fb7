"""Requests that gRPC reads by itself, before anybody is asked: so many at once, and further ones late.

Each may take up to `LARGEST_REQUEST` of memory for as long as its sender leaves out the end, and nobody
has counted it yet. What a stream asks for is read late in any case: that is once for each stream.
"""

from typing import Any, cast

from broker.server.grpc.door import Choose, Method
from broker.server.grpc.entry.identity import Metadata

MOST_EARLY = 256
"""At once, of all callers. Usually there are as many as arrive together."""


class EarlyRequests:
    """Count the calls that are open and were read early."""

    def __init__(self, most: int = MOST_EARLY) -> None:
        self._most = most
        self.open = 0

    def bounded(self, choose: Choose, late: Method) -> Choose:
        """Return a choice that falls on `late` where too many are read early."""
        new = object.__new__

        def chosen(metadata: Metadata) -> Method:
            handler: Any = choose(metadata)
            if handler is late or handler.request_streaming:
                return cast("Method", handler)
            if handler.response_streaming or self.open >= self._most:
                return late
            # Without a constructor, which would be a tenth of all that the broker does for a repeated call.
            early = new(_Early)
            early.unary_unary, early.response_serializer = handler.unary_unary, handler.response_serializer
            early.requests = self
            self.open += 1
            return cast("Method", early)

        return chosen


class _Early:
    """The handler of one call. gRPC holds it until the call is over, also one that never arrived."""

    __slots__ = ("requests", "response_serializer", "unary_unary")
    request_streaming = response_streaming = False
    request_deserializer = unary_stream = stream_unary = stream_stream = None
    unary_unary: Any
    response_serializer: Any
    requests: EarlyRequests

    def __del__(self) -> None:
        self.requests.open -= 1
