"""The HTTP server: `/callback/{app}`, `/livez`, `/readyz`, `/metrics`."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from broker.server.health import Health
from broker.server.http.callbacks import CallbackEndpoint
from broker.telemetry.metrics import Metrics
from broker.usecases.callbacks.decoder import LARGEST_BODY


class CannotListen(Exception):
    """An address is taken, or not this machine's."""


def _routes(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if health.is_ready else web.Response(text="not ready\n", status=503)

    async def exposition(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposition)]


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
    application = web.Application(client_max_size=LARGEST_BODY)
    application.add_routes([*_routes(health, metrics), *callbacks.routes()])
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=drain_seconds,
        # WeCom compresses nothing; unpacking a stranger's zip bomb would block all requests.
        auto_decompress=False,
    )
    await runner.setup()
    try:
        listener: web.BaseSite
        if address.startswith("unix://"):
            listener = web.UnixSite(runner, address.removeprefix("unix://"))
        else:
            host, _, port = address.rpartition(":")
            listener = web.TCPSite(runner, host.strip("[]"), int(port), reuse_port=share_port or None)
        try:
            await listener.start()
        except OSError as error:
            raise CannotListen(f"cannot listen on {address}: {system_reason(error)}") from None
        yield _port(runner)
    finally:
        await runner.cleanup()


def system_reason(error: OSError) -> str:
    """Return the system's words for the error, without the sentence and address that asyncio adds."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


def _port(runner: web.AppRunner) -> int:
    names = [name for name in runner.addresses if isinstance(name, tuple)]
    return int(names[0][1]) if names else 0
