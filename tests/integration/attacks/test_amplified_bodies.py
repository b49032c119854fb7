"""F1: strangers post bodies to the callback URL whose parsing could cost a multiple of their size."""

import asyncio
import itertools
from collections import Counter
from functools import partial

import pytest

from tests.integration.attacks.ground import Ground
from tests.integration.attacks.place import Place
from tests.integration.attacks.trial import trial, tried
from tests.integration.conftest import Figures
from tests.kit.callbacks.attacks import (
    BOMB,
    DEEP,
    DEEP_JSON,
    NAMESPACES,
    knock,
    posted,
    sealed,
    unsigned,
)

SIZE = 250_000
SIGNED_A_SECOND = 1.5
"""As many as two strangers at 0.36 MB/s send."""
UNSIGNED_A_SECOND = 10 * SIGNED_A_SECOND
UNSIGNED = {
    "namespaces": NAMESPACES,
    "one long name": b"<xml><" + b"a" * SIZE,
    "sections without end": b"<xml>" + b"<![CDATA[" * (SIZE // 9),
    "references": b"<xml>" + b"&#65;" * (SIZE // 5),
    "entities": BOMB,
    "deep": DEEP,
    "deep json": DEEP_JSON,
    "escapes": b'{"encrypt":"%s"}' % (rb"\u0041" * (SIZE // 6)),
}
SEALED_SIZE = 180_000
"""What is sealed grows by half."""
SIGNED = {
    "namespaces": NAMESPACES.replace(b"u" * 240_000, b"u" * (SEALED_SIZE - 5_000)),
    "comments": b"<xml>" + b"<!--" * (SEALED_SIZE // 4),
    "broken sections": b"<xml>" + b">![CDATA[" * (SEALED_SIZE // 9) + b"</xml>",
    "deep": DEEP,
}


async def post(bodies: list[bytes], a_second: float, place: Place, done: Counter[str]) -> None:
    """Post them in turn, each by somebody who does not wait for the others."""

    async def one(body: bytes) -> None:
        reply = await knock(place.http_port, body, within=60)
        done[str(reply.status)] += 1

    async with asyncio.TaskGroup() as tasks:
        for body in itertools.cycle(bodies):
            tasks.create_task(one(body))
            await asyncio.sleep(1 / a_second)


async def post_unsigned(place: Place, done: Counter[str], *, only: str = "") -> None:
    """Post what nobody signed."""
    bodies = [unsigned(body) for name, body in UNSIGNED.items() if only in ("", name)]
    await post(bodies, UNSIGNED_A_SECOND, place, done)


async def post_signed(place: Place, done: Counter[str]) -> None:
    """Post what somebody signed who has the keys."""
    await post([posted(sealed(body)) for body in SIGNED.values()], SIGNED_A_SECOND, place, done)


ATTACKS = {
    "namespaces": partial(post_unsigned, only="namespaces"),
    "other bodies": post_unsigned,
    "signed": post_signed,
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_no_strangers_body_delays_others(ground: Ground, figures: Figures, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])

    figures(attack=attack, **verdict.figures())
    assert verdict.done
    verdict.check()
