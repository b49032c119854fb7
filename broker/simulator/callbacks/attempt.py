"""One request to a callback URL, and how it was answered."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import aiohttp
from yarl import URL

from broker.simulator.callbacks.envelope import Post
from broker.simulator.world.events.delivery import Attempt


async def post(session: aiohttp.ClientSession, url: str, sent: Post, within_seconds: float) -> Attempt:
    """Post an envelope."""
    headers = {"Content-Type": sent.content_type}
    target = URL(url).update_query(sent.query)
    request = session.post(target, data=sent.body, headers=headers, allow_redirects=False)
    return await _answered(request, within_seconds)


async def get(
    session: aiohttp.ClientSession, url: str, query: Mapping[str, str], within_seconds: float
) -> Attempt:
    """Send a GET with this query."""
    target = URL(url).update_query(query)
    return await _answered(session.get(target, allow_redirects=False), within_seconds)


async def _answered(
    request: AbstractAsyncContextManager[aiohttp.ClientResponse], within_seconds: float
) -> Attempt:
    started = time.monotonic()

    def attempt(status: int | None = None, body: str = "", error: str = "") -> Attempt:
        return Attempt(status, body, time.monotonic() - started, error)

    try:
        async with asyncio.timeout(within_seconds), request as answer:
            return attempt(answer.status, (await answer.read()).decode(errors="replace"))
    except TimeoutError:
        return attempt(error=f"no answer within {within_seconds:g} s")
    except (aiohttp.ClientError, OSError) as failure:
        return attempt(error=f"{type(failure).__name__}: {failure}".strip(": "))
