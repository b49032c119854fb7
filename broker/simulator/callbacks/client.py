"""Sends events to a callback as WeCom does: with its timeout, and again after a failure (wecom-api C1)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

import aiohttp

from broker.simulator.callbacks.attempt import get, post
from broker.simulator.callbacks.envelope import Post, sealed_post, verification
from broker.simulator.callbacks.messages import message
from broker.simulator.callbacks.replies import open_reply
from broker.simulator.callbacks.robot_messages import robot_message
from broker.simulator.crypto import RANDOM_BYTES
from broker.simulator.world.events.callback import Callback, Format
from broker.simulator.world.events.delivery import OK, Attempt, Delivery
from broker.simulator.world.events.event import Event

_DIGITS = 18
_VERIFICATION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Verification:
    """Hold how a verification of the URL was answered, and the right answer."""

    attempt: Attempt
    plaintext: str

    @property
    def passed(self) -> bool:
        """Return whether the bare plaintext came back, with nothing before or after it."""
        return self.attempt.status == OK and self.attempt.body == self.plaintext


@dataclass(frozen=True, slots=True)
class CallbackClient:
    """Send over one session. The world provides time, random bytes and waiting."""

    session: aiohttp.ClientSession
    now: Callable[[], float]
    randbytes: Callable[[int], bytes]
    sleep: Callable[[float], Awaitable[object]]

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        now: Callable[[], float],
        randbytes: Callable[[int], bytes],
        sleep: Callable[[float], Awaitable[object]],
    ) -> AsyncIterator[Self]:
        """Open a client for the length of the block."""
        async with aiohttp.ClientSession() as session:
            yield cls(session, now, randbytes, sleep)

    async def deliver(self, callback: Callback, delivery: Delivery) -> Delivery:
        """Post the event until it is accepted, or all retries are spent. Raises ValueError."""
        kind = delivery.event.kind
        callback.check(kind)
        sealed = self._sealed(callback, delivery.event)
        for retries_left in reversed(range(callback.retries + 1)):
            attempt = await post(self.session, callback.url, sealed, callback.seconds_for(kind))
            delivery.attempts.append(_with_reply(attempt, callback, delivery.event, sealed))
            if delivery.accepted or not retries_left:
                break
            await self.sleep(callback.pause_seconds)
            if callback.sealed_anew:
                sealed = self._sealed(callback, delivery.event)
        return delivery

    async def verify_url(self, callback: Callback, receive_id: str) -> Verification:
        """Send one verification with some digits, as WeCom does when the URL is saved."""
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

    def _sealed(self, callback: Callback, event: Event) -> Post:
        return sealed_post(
            callback.keys,
            _message(event, callback),
            callback.address(event),
            timestamp=str(int(self.now())),
            nonce=str(self._number(4)),
            random=self.randbytes(RANDOM_BYTES),
            body_format=Format.JSON if callback.robot else callback.body_format,
        )

    def _number(self, size: int) -> int:
        return int.from_bytes(self.randbytes(size), "big")


def _message(event: Event, callback: Callback) -> bytes:
    if callback.robot and event.raw is None:
        return robot_message(event)
    return message(event, callback.agentid_in(event))


def _with_reply(attempt: Attempt, callback: Callback, event: Event, sent: Post) -> Attempt:
    receive_id = callback.address(event).receive_id
    nonce = sent.query["nonce"] if callback.robot else ""
    reply = open_reply(callback.keys, attempt.body, receive_id, nonce)
    return replace(attempt, reply=reply.message, reply_problem=reply.problem)
