"""The HTTP door: `/livez`, `/readyz`, `/metrics`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from broker.server.health import Health
from broker.telemetry import Metrics


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
    address: str, health: Health, metrics: Metrics, *, share_port: bool
) -> AsyncIterator[int]:
    """Serve until left; yields the port. Raises `CannotListen`."""
    application = web.Application()
    application.add_routes(_routes(health, metrics))
    runner = web.AppRunner(application, access_log=None)
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
            raise CannotListen(f"cannot listen on {address}: {error.strerror or error}") from None
        yield _port(runner)
    finally:
        await runner.cleanup()


def _port(runner: web.AppRunner) -> int:
    names = [name for name in runner.addresses if isinstance(name, tuple)]
    return int(names[0][1]) if names else 0
