"""F10: somebody who writes to the store forges leases without end, and notices of all kinds."""

import asyncio
import itertools
from collections import Counter
from functools import partial

import pytest

from broker.adapters.wecom.shares import PAGE_SIZE
from broker.simulator.demo import PARENT
from broker.usecases.fleet.leased_flight import LOST_COMMITS
from broker.usecases.shares.relisting import MOST_A_MINUTE
from tests.integration.attacks.ground import Ground
from tests.integration.attacks.place import CHILDREN, Place
from tests.integration.attacks.store import ask_for_tokens, credential, milliseconds, victims, writing
from tests.integration.attacks.trial import trial, tried
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import APP, GETTOKEN, LIST

NOTICES_A_SECOND = 200
HOUR_MS = 3_600_000
SHARES = ("shares:crm:own", "shares:crm:corp_group", "shares:crm:upstream_downstream")
LONG = "9" * 400
MINUTE_SECONDS = 60


async def hold_leases(number: int, place: Place, done: Counter[str]) -> None:
    """Take each lease for an hour, while tokens are asked for."""
    apps = victims(number)
    async with writing(place) as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask_for_tokens(place, apps))
        while True:
            for app in (APP, *apps):
                await writer.redis.set(writer.lease(credential(app)), "forged", px=HOUR_MS)
            done["leases"] += 1
            await asyncio.sleep(1)


async def forge(notices: list[str], place: Place, done: Counter[str]) -> None:
    """Send them in turn; NOW is replaced by the time in milliseconds."""
    async with writing(place) as writer:
        for notice in itertools.cycle(notices):
            await writer.notify(notice.replace("NOW", str(milliseconds())))
            done["notices"] += 1
            await asyncio.sleep(1 / NOTICES_A_SECOND)


ATTACKS = {
    "leases of an hour": partial(hold_leases, 9),
    "forgotten": partial(forge, [f"forgotten NOW {name}" for name in (credential(), *SHARES)]),
    "appended": partial(forge, [f"appended NOW {name}" for name in (*SHARES, "events:crm", "crm")]),
    "numbers of 400 digits": partial(
        forge, [f"{kind} {LONG} {name}" for kind in ("appended", "committed", "forgotten") for name in SHARES]
    ),
    "committed and available": partial(
        forge,
        [
            f"{kind} NOW {name}"
            for kind in ("committed", "available", "released")
            for name in (credential(), *SHARES, "events:crm", f"app:{PARENT.corpid}", "x" * 5000)
        ],
    ),
    "connected, and no notices at all": partial(
        forge, ["connected 0 ", "readable 0 ", "", "\0", "x " * 3000]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_forged_notices_change_nothing_by_themselves(ground: Ground, figures: Figures, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])

    figures(attack=attack, **verdict.figures())
    assert verdict.done
    minutes = 1 + verdict.seconds // MINUTE_SECONDS
    pages = 1 + CHILDREN // PAGE_SIZE
    verdict.check(
        {
            LIST: int(MOST_A_MINUTE * minutes * len(SHARES)) * pages,
            # A forged lease may hit one that is held: that commit is lost.
            GETTOKEN: len(victims(0)) * (LOST_COMMITS + 1),
        }
    )
