"""Facts that announce themselves to nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.client.fake_broker import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(fact: Callable[[], bool]) -> None:
    """Return as soon as the fact is true, and fail if it does not come true."""
    async with asyncio.timeout(PATIENCE):
        while not fact():
            await asyncio.sleep(0.005)


def tasks() -> set[str]:
    """Return the names of the loop's tasks."""
    return {task.get_name() for task in asyncio.all_tasks()}
