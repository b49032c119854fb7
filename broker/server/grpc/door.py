"""The one door of a server: every method is found by one look-up.

gRPC asks each generic handler in turn whether a method is its own, and each registered method costs every
call a little: one generic handler for all methods is the cheapest (measured, `bench`).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import grpc

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata: TypeAlias = Any
Choose = Callable[[Metadata], Method]
"""Return what handles a call that comes with this metadata."""
ChooseMethod = Callable[[str, Method], Choose]
"""Take a method's name and handler, and return what chooses the handler of each of its calls."""


class Door(grpc.GenericRpcHandler):
    """All methods of a server."""

    def __init__(self) -> None:
        self._methods: dict[str, Choose] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Method | None":
        """Return what handles a call; None for a method that does not exist."""
        choose = self._methods.get(handler_call_details.method)
        return choose(handler_call_details.invocation_metadata) if choose else None

    def add(self, method: str, choose: Choose) -> None:
        """Add a method, named as in `/service/Method`."""
        self._methods[method] = choose


class Registrar:
    """Stand in for a server while generated code registers servicers: their methods are added to a door."""

    def __init__(self, door: Door, choose: ChooseMethod | None = None) -> None:
        """Have `choose` say how the calls of each method are handled; else its handler takes them all."""
        self._door = door
        self._choose = choose or _always

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Do nothing: generated code passes every method to `add_registered_method_handlers` too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Method]) -> None:
        """Add the methods of one service."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            self._door.add(method, self._choose(method, handler))


def _always(_method: str, handler: Method) -> Choose:
    return lambda _: handler
