"""Who carries events to a callback as WeCom does: in its time, and again where that failed (wecom-api C1)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import aiohttp

from broker.simulator.callbacks.attempt import Attempt, get, post
from broker.simulator.callbacks.callback import Callback
from broker.simulator.callbacks.envelope import Post, sealed_post, verification
from broker.simulator.callbacks.kinds import COMMANDS
from broker.simulator.callbacks.messages import Occasion, message
from broker.simulator.crypto import RANDOM_BYTES

_OK = 200
_DIGITS = 18
_VERIFICATION_SECONDS = 1.0


@dataclass(slots=True)
class Delivery:
    """Hold what became of an event; without attempts it still waits."""

    occasion: Occasion
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Tell whether WeCom is content, and does not send it again."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.status != _OK:
            return False
        return last.body == "success" or self.occasion.kind not in COMMANDS


@dataclass(frozen=True, slots=True)
class Verification:
    """Hold how a verification of the URL was answered, and what would have been right."""

    attempt: Attempt
    plaintext: str

    @property
    def passed(self) -> bool:
        """Tell whether the bare plaintext came back, with nothing before or after it."""
        return self.attempt.status == _OK and self.attempt.body == self.plaintext


@dataclass(frozen=True, slots=True)
class Courier:
    """Carry over one session. Time, chance and waiting are the world's."""

    session: aiohttp.ClientSession
    now: Callable[[], float]
    randbytes: Callable[[int], bytes]
    sleep: Callable[[float], Awaitable[object]]

    @classmethod
    @asynccontextmanager
    async def ready(
        cls,
        now: Callable[[], float],
        randbytes: Callable[[int], bytes],
        sleep: Callable[[float], Awaitable[object]],
    ) -> AsyncIterator[Self]:
        """Carry while inside."""
        async with aiohttp.ClientSession() as session:
            yield cls(session, now, randbytes, sleep)

    async def deliver(self, callback: Callback, delivery: Delivery) -> Delivery:
        """Post the event until it is accepted, or all retries are spent."""
        kind = delivery.occasion.kind
        sealed = self._sealed(callback, delivery.occasion)
        for retries_left in reversed(range(callback.retries + 1)):
            delivery.attempts.append(
                await post(self.session, callback.url, sealed, callback.seconds_for(kind))
            )
            if delivery.accepted or not retries_left:
                break
            await self.sleep(callback.pause_seconds)
            if callback.sealed_anew:
                sealed = self._sealed(callback, delivery.occasion)
        return delivery

    async def verify_url(self, callback: Callback, receive_id: str) -> Verification:
        """Ask once for some digits, as WeCom does when the URL is saved."""
        plaintext = str(10**_DIGITS + self._number(7))
        query = verification(
            callback.keys,
            plaintext,
            receive_id,
            timestamp=str(int(self.now())),
            nonce=str(self._number(4)),
            random=self.randbytes(RANDOM_BYTES),
        )
        return Verification(await get(self.session, callback.url, query, _VERIFICATION_SECONDS), plaintext)

    def _sealed(self, callback: Callback, occasion: Occasion) -> Post:
        return sealed_post(
            callback.keys,
            message(occasion, callback.agentid_in(occasion)),
            callback.address(occasion),
            timestamp=str(int(self.now())),
            nonce=str(self._number(4)),
            random=self.randbytes(RANDOM_BYTES),
            body_format=callback.body_format,
        )

    def _number(self, size: int) -> int:
        return int.from_bytes(self.randbytes(size), "big")
