"""F5: somebody who writes to the store puts records there that do not open, and has replicas read them."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.integration.attacks.ground import Ground
from tests.integration.attacks.place import Place
from tests.integration.attacks.store import Writer, ask_for_tokens, credential, milliseconds, victims, writing
from tests.integration.attacks.trial import trial, tried
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import APP, GETTOKEN

WRITTEN_EVERY_SECONDS = 0.05
AHEAD = 10**6
"""By how many milliseconds the forged number is ahead of the time."""


def garbage() -> bytes:
    """Return what nobody sealed."""
    return os.urandom(300)


def of_another_key() -> bytes:
    """Return what may be sealed with a key that this replica does not have yet."""
    return b"\x02k9" + os.urandom(300)


def forged() -> bytes:
    """Return what claims to be sealed with the broker's key."""
    return b"\x02k1" + os.urandom(300)


async def overwrite(number: int, payload: Callable[[], bytes], place: Place, done: Counter[str]) -> None:
    """Put that under each of the records, with a higher number."""
    apps = victims(number)
    async with writing(place) as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask_for_tokens(place, apps))
        while True:
            for app in (APP, *apps):
                await writer.put(credential(app), fence=milliseconds() + AHEAD, payload=payload())
            done["written"] += 1
            await asyncio.sleep(WRITTEN_EVERY_SECONDS)


async def swap(number: int, place: Place, done: Counter[str]) -> None:
    """Put each record in the place of the next one."""
    apps = victims(number)
    async with writing(place) as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask_for_tokens(place, apps))
        while True:
            names = [credential(app) for app in (APP, *apps)]
            payloads = [await _payload(writer, name) for name in names]
            for name, payload in zip(names, payloads[1:] + payloads[:1], strict=True):
                await writer.put(name, fence=milliseconds() + AHEAD, payload=payload)
            done["swapped"] += 1
            await asyncio.sleep(WRITTEN_EVERY_SECONDS)


async def _payload(writer: Writer, name: str) -> bytes:
    payload = await writer.redis.hget(writer.record(name), "payload")  # type: ignore[misc]
    return payload if isinstance(payload, bytes) else b""


ATTACKS = {
    "garbage": partial(overwrite, 5, garbage),
    "another key's": partial(overwrite, 6, of_another_key),
    "forged": partial(overwrite, 7, forged),
    "swapped": partial(swap, 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_records_that_do_not_open_keep_nobody_busy(ground: Ground, figures: Figures, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])

    figures(attack=attack, **verdict.figures())
    assert verdict.done
    # Each token was cold, and once more is what a replica fetches that finds only damage.
    verdict.check({GETTOKEN: 2 * (1 + len(victims(0)))})
