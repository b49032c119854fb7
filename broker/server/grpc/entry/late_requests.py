"""Requests that are read only once their caller is known: a stranger's megabytes never get into memory.

gRPC for Python reads the request of a unary call before its handler is called, but not the first
message of a stream; both look the same on the wire. A handler of a stream costs every call a third
more, so only calls that nothing proves before they are read are treated so.
"""

from typing import Any, TypeAlias, cast

import grpc

from broker.domain.errors import InvalidRequest
from broker.server.grpc.context import Context

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
LATE = object()
"""Stands for a request that has not been read."""


async def late_request(context: Context) -> bytes:
    """Read it. Raises `InvalidRequest`."""
    received = await context.read()
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
