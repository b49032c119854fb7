"""The HTTP server: `/callback/{app}`, `/livez`, `/readyz`, `/metrics`, `/version`."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from broker import __version__
from broker.server.health import Health
from broker.server.http.callbacks import CallbackEndpoint
from broker.server.http.connections import KEEP_ALIVE_SECONDS, Connections, most_connections
from broker.server.http.expectations import without_odd_expectations
from broker.server.http.targets import with_a_target
from broker.telemetry.metrics import Metrics
from broker.usecases.callbacks.decoder import LARGEST_BODY

HANDSHAKE_SECONDS = 5.0


class CannotListen(Exception):
    """An address is taken, or not this machine's."""


def _routes(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        if obstacle := health.obstacle():
            return web.Response(text=f"not ready: {obstacle.problem}\n", status=503)
        return web.Response(text="ok\n")

    async def exposition(_request: web.Request) -> web.Response:
        text = []
        for piece in metrics.exposition():
            text.append(piece)
            await asyncio.sleep(0)  # thousands of callers have tens of thousands of series: calls go first
        return web.Response(body=b"".join(text), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def version(_request: web.Request) -> web.Response:
        return web.json_response({"version": __version__})

    return [
        web.get("/livez", livez),
        web.get("/readyz", readyz),
        web.get("/metrics", exposition),
        web.get("/version", version),
    ]


@asynccontextmanager
async def serve_http(
    address: str,
    health: Health,
    metrics: Metrics,
    callbacks: CallbackEndpoint,
    *,
    share_port: bool,
    drain_seconds: float,
) -> AsyncIterator[int]:
    """Serve until the context exits, then let running requests end; yield the port. Raises `CannotListen`."""
    connections = Connections(most_connections(), metrics.http_connections)
    application = web.Application(client_max_size=LARGEST_BODY, middlewares=[connections.middleware])
    application.add_routes([*_routes(health, metrics), *callbacks.routes()])
    serving = serve_application(
        address, application, connections, share_port=share_port, drain_seconds=drain_seconds
    )
    async with serving as port:
        yield port


@asynccontextmanager
async def serve_application(
    address: str,
    application: web.Application,
    connections: Connections,
    *,
    tls: ssl.SSLContext | None = None,
    share_port: bool,
    drain_seconds: float,
) -> AsyncIterator[int]:
    """Serve until the context exits, then let running requests end; yield the port. Raises `CannotListen`."""
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=drain_seconds,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        # Nobody compresses anything; unpacking a stranger's zip bomb would block all requests.
        auto_decompress=False,
    )
    await runner.setup()
    try:
        listener = await _listen(address, runner, connections, tls, share_port=share_port)
        try:
            yield _port(listener)
        finally:
            listener.close()
    finally:
        await runner.cleanup()


async def _listen(
    address: str,
    runner: web.AppRunner,
    connections: Connections,
    tls: ssl.SSLContext | None,
    *,
    share_port: bool,
) -> asyncio.Server:
    """Listen on the address. Raises `CannotListen`."""
    server, loop = cast("web.Server", runner.server), asyncio.get_running_loop()
    server.request_factory = with_a_target(without_odd_expectations(server.request_factory))
    bounded = connections.before(server)
    try:
        if address.startswith("unix://"):
            path = address.removeprefix("unix://")
            return await loop.create_unix_server(bounded, path, backlog=connections.backlog)
        host, _, port = address.rpartition(":")
        return await loop.create_server(
            bounded,
            host.strip("[]"),
            int(port),
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
            reuse_port=share_port or None,
            backlog=connections.backlog,
        )
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {system_reason(error)}") from None


def system_reason(error: OSError) -> str:
    """Return the system's words for the error, without the sentence and address that asyncio adds."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


def _port(listener: asyncio.Server) -> int:
    names = [
        name for name in (opened.getsockname() for opened in listener.sockets) if isinstance(name, tuple)
    ]
    return int(names[0][1]) if names else 0
