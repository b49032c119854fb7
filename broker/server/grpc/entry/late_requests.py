"""Requests that are read only once their caller is known: a stranger's megabytes never get into memory.

gRPC for Python reads the request of a unary call before its handler is called, but not the first
message of a stream; both look the same on the wire. A handler of a stream costs every call a third
more, so only calls that nothing proves before they are read are treated so.
"""

import asyncio
from collections import defaultdict
from typing import Any, cast

import grpc

from broker.domain.access import Caller
from broker.domain.errors import InvalidRequest
from broker.server.grpc.context import Context
from broker.server.grpc.door import Method

LATE = object()
"""Stands for a request that has not been read."""
MOST_OF_A_CALLER = 32
"""How many requests of one caller are read late at the same time."""
READ_SECONDS = 10.0
"""How long one may take to arrive, once it is its turn."""


class LateRequests:
    """Read them, few of one caller at a time: each takes memory for as long as its end is missing."""

    def __init__(self) -> None:
        self._reading: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MOST_OF_A_CALLER)
        )
        """By the name of a configured caller, or of an open broker's."""

    async def read(self, caller: Caller, context: Context) -> bytes:
        """Read the request of that caller. Raises `InvalidRequest`."""
        async with self._reading[caller.name]:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    received = await context.read()
            except TimeoutError:
                raise InvalidRequest("request", f"did not arrive within {READ_SECONDS:.0f} s") from None
        if not isinstance(received, bytes):
            raise InvalidRequest("request", "is missing")
        return received


def read_late(guarded: Method) -> Method:
    """Return the method with a handler that gets LATE instead of its request."""
    if guarded.request_streaming:
        return guarded
    handler: Any = guarded.unary_stream or guarded.unary_unary

    async def call(_requests: object, context: Context) -> object:
        return await handler(LATE, context)

    make: Any = grpc.stream_unary_rpc_method_handler
    if guarded.unary_stream:
        make = grpc.stream_stream_rpc_method_handler
    return cast("Method", make(call, response_serializer=guarded.response_serializer))
