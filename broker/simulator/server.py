"""The simulator as an HTTP server: WeCom's endpoints, and the control API beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from broker.simulator.control import control_routes
from broker.simulator.door import Door
from broker.simulator.world import World

# Calls under way at the end are held back on purpose (Delay, Hang): waiting for them would be in vain.
_SHUTDOWN_SECONDS = 0.1


@asynccontextmanager
async def running_simulator(world: World, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the world while inside, and give its base URL; leaving ends even hanging calls."""
    app = web.Application(client_max_size=world.settings.max_body_bytes)
    app.add_routes(control_routes(world))
    app.router.add_route("*", "/{path:.*}", Door(world).handle)
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def serve(
    world: World, host: str = "127.0.0.1", port: int = 0, announce: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve the world until cancelled; `announce` is told the base URL once it answers."""
    async with running_simulator(world, host, port) as url:
        announce(url)
        await asyncio.Event().wait()
