"""The listener of the console."""

from contextlib import AbstractAsyncContextManager

from aiohttp import web

from broker.server.http.connections import Connections
from broker.server.http.console.console import LARGEST_FORM, Console
from broker.server.http.console.tls import ConsoleTls
from broker.server.http.server import serve_application

MOST_CONNECTIONS = 64


class Uncounted:
    """No gauge: these connections are operators'."""

    def set(self, value: float) -> None:
        """See `Gauge.set`."""


def serve_console(
    address: str, console: Console, tls: ConsoleTls | None, *, share_port: bool, drain_seconds: float
) -> AbstractAsyncContextManager[int]:
    """Serve until the context exits; it yields the port. Entering it raises `CannotListen`."""
    connections = Connections(MOST_CONNECTIONS, Uncounted())
    application = web.Application(
        client_max_size=LARGEST_FORM, middlewares=[connections.middleware, console.headers]
    )
    application.add_routes(console.routes())
    return serve_application(
        address,
        application,
        connections,
        tls=tls.context if tls else None,
        share_port=share_port,
        drain_seconds=drain_seconds,
    )
