"""F4: somebody who writes to the store puts numbers on records that no commit could beat."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from broker.usecases.fleet.leased_flight import LOST_COMMITS
from tests.integration.attacks.ground import Ground
from tests.integration.attacks.place import Place
from tests.integration.attacks.store import ask_for_tokens, credential, milliseconds, victims, writing
from tests.integration.attacks.trial import trial, tried
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import APP, GETTOKEN

POISONED_EVERY_SECONDS = 0.02
LONGEST_REST_SECONDS = 30
"""After some lost commits a replica goes on alone for so long."""


async def poison(number: int, fence: str, place: Place, done: Counter[str]) -> None:
    """Write the number over all the records, again and again, while their tokens are asked for."""
    apps = victims(number)
    async with writing(place) as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask_for_tokens(place, apps))
        while True:
            for app in (APP, *apps):
                found = fence or str(milliseconds() + 10**13)
                await writer.put(credential(app), fence=found, issued=found)
            done["poisoned"] += 1
            await asyncio.sleep(POISONED_EVERY_SECONDS)


async def break_types(number: int, place: Place, done: Counter[str]) -> None:
    """Put a list where each record and lease belongs."""
    apps = victims(number)
    async with writing(place) as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask_for_tokens(place, apps))
        while True:
            for app in (APP, *apps):
                for key in (writer.record(credential(app)), writer.lease(credential(app))):
                    await writer.redis.delete(key)
                    await writer.redis.lpush(key, "x")  # type: ignore[misc]
                await writer.notify(f"committed {milliseconds()} {credential(app)}")
            done["spoilt"] += 1
            await asyncio.sleep(POISONED_EVERY_SECONDS)


ATTACKS = {
    "1e17": partial(poison, 0, "1e17"),
    "1e30": partial(poison, 1, "1e30"),
    "not a number": partial(poison, 2, "nan"),
    "always ten thousand years ahead": partial(poison, 3, ""),
    "lists": partial(break_types, 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_poisoned_records_cost_wecom_a_few_calls(ground: Ground, figures: Figures, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])

    figures(attack=attack, **verdict.figures())
    assert verdict.done
    times = 1 + verdict.seconds // LONGEST_REST_SECONDS
    verdict.check({GETTOKEN: int((1 + len(victims(0))) * (LOST_COMMITS + 1) * times)})
