"""The simulator as an HTTP server: WeCom's endpoints, the control API beside them, and a page to look at."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from broker.simulator.callbacks.sender import pushing_tickets, sending
from broker.simulator.control import PREFIX, control_routes, index
from broker.simulator.handler import WecomHandler
from broker.simulator.page import page_handler
from broker.simulator.world import World

# Calls in flight at shutdown are held by faults (Delay, Hang): waiting for them is pointless.
_SHUTDOWN_SECONDS = 0.1
_BACKLOG = 1024


@asynccontextmanager
async def running_simulator(world: World, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the world inside the block, and yield its base URL; leaving ends even hanging calls."""
    app = web.Application(client_max_size=world.settings.max_body_bytes)
    app.add_routes(control_routes(world))
    for path in (PREFIX, f"{PREFIX}/"):
        app.router.add_get(path, index)
    app.router.add_get("/page", page_handler(world))
    app.router.add_route("*", "/{path:.*}", WecomHandler(world).handle)
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    listener = _listen(host, port)
    try:
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        async with sending(world), pushing_tickets(world):
            yield f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    finally:
        await _stop_accepting(listener)
        await runner.cleanup()
        listener.close()


async def serve(
    world: World, host: str = "127.0.0.1", port: int = 0, announce: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve the world until cancelled; `announce` is called with the base URL once it answers."""
    async with running_simulator(world, host, port) as url:
        announce(url)
        await asyncio.Event().wait()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


async def _stop_accepting(listener: socket.socket) -> None:
    # CPython 3.11 leaks a connection that is being accepted while its server closes: finish accepting first.
    asyncio.get_running_loop().remove_reader(listener)
    for _ in range(3):
        await asyncio.sleep(0)
