"""Whoever attacks: a process of its own, which gives way to all others, as if on another machine."""

import asyncio
import os
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from tests.integration.attacks.place import Place

Attack = Callable[[Place, Counter[str]], Awaitable[None]]
"""Goes on until it is cancelled, and counts what it does; of a module, for it runs in another process."""
NICE = 15
BEGUN_WITHIN_SECONDS = 10.0


def be_attacker(pipe: Connection, place: Place) -> None:
    """Run each attack from the pipe until the next None, which is answered with what was done.

    Before that it says that it has begun.
    """
    os.nice(NICE)
    asyncio.run(_serve(pipe, place))


async def _serve(pipe: Connection, place: Place) -> None:
    pipe.send("ready")
    while True:
        try:
            attack: Attack = await asyncio.to_thread(pipe.recv)
        except EOFError:
            return
        done: Counter[str] = Counter()
        attacking = asyncio.ensure_future(attack(place, done))
        ending = asyncio.ensure_future(asyncio.to_thread(pipe.recv))
        # On a busy machine whoever gives way to all may have done nothing yet.
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGUN_WITHIN_SECONDS):
                while not done and not attacking.done():
                    await asyncio.sleep(0.02)
        pipe.send("begun")
        await ending
        has_ended = attacking.done()
        # A client of Redis takes a cancellation for itself now and then.
        while not attacking.done():
            attacking.cancel()
            await asyncio.wait([attacking], timeout=1)
        if not has_ended:
            pipe.send(done)
        elif error := attacking.exception():
            pipe.send("".join(traceback.format_exception(error)))
        else:
            pipe.send("the attack has ended by itself")
