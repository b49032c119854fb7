"""A load balancer for HTTP: round robin, skipping a backend that refuses connections."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import aiohttp
from aiohttp import web
from yarl import URL

ANSWER_SECONDS = 10.0


@asynccontextmanager
async def balanced(backends: Sequence[str]) -> AsyncIterator[str]:
    """Serve one address in front of the backends' URLs; a request that was sent is not repeated."""
    turns = count()
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    # A new connection for each request: one that a killed backend leaves behind would fail a later request.
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def forward(request: web.Request) -> web.Response:
            body, first = await request.read(), next(turns)
            for step in range(len(backends)):
                url = URL(backends[(first + step) % len(backends)] + request.raw_path, encoded=True)
                try:
                    async with session.request(
                        request.method, url, data=body, headers={"X-Forwarded-For": request.remote or ""}
                    ) as answer:
                        return web.Response(status=answer.status, body=await answer.read())
                except aiohttp.ClientConnectorError:
                    continue
                except (aiohttp.ClientError, TimeoutError):
                    return web.Response(status=502)
            return web.Response(status=503)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            listener = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
            await listener.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
