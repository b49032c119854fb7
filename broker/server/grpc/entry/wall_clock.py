"""A bound on how long a transfer may last, whoever makes it slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta

from broker.domain.errors import CallerLimited

LONGEST_TRANSFER = timedelta(minutes=5, seconds=30)
"""WeCom itself gets five minutes for a file."""
TRANSFERS = {"UploadMedia": LONGEST_TRANSFER, "DownloadMedia": LONGEST_TRANSFER}
SOON = timedelta(seconds=1)


def ended_after(longest: timedelta | None) -> AbstractAsyncContextManager[None]:
    """End the block after that time, also where it waits for the caller. Raises `CallerLimited`."""
    return _ended_after(longest) if longest else nullcontext()


@asynccontextmanager
async def _ended_after(longest: timedelta) -> AsyncIterator[None]:
    limit = asyncio.timeout(longest.total_seconds())
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        seconds = round(longest.total_seconds())
        raise CallerLimited(f"the transfer took longer than {seconds} s", SOON, limit="transfer") from None
