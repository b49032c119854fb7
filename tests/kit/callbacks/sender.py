"""WeCom's side of the callbacks for integration tests: seals, signs and posts a test's messages."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from broker.domain.secret import Secret
from broker.protocol.callbacks import envelope as opening
from broker.simulator.callbacks.attempt import get, post
from broker.simulator.callbacks.envelope import Address, Format, Post, sealed_post, verification
from broker.simulator.crypto import RANDOM_BYTES, CallbackKeys
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_KEYS, CALLBACK_TOKEN, PARENT

DEMO_KEYS = opening.CallbackKeys(Secret(CALLBACK_TOKEN), Secret(CALLBACK_AES_KEY))
"""The broker's keys for callbacks; WeCom's side has its own class, and its own cryptography."""
WITHIN_SECONDS = 60.0
"""How long an answer may take on a busy machine; tests of a shorter limit check the answer's seconds."""

Query = dict[str, str]
Tamper = Callable[[Query, bytes], tuple[Query, bytes]]
Answer = tuple[int, str, float]
"""Status, body, seconds."""


@dataclass(frozen=True)
class CallbackSender:
    """Send to one URL. Open it with `async with CallbackSender.open(url) as sender:`."""

    url: str
    keys: CallbackKeys
    session: aiohttp.ClientSession

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, keys: CallbackKeys = CALLBACK_KEYS) -> AsyncIterator[Self]:
        """Send over kept connections, without a limit on how many are open at once."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield cls(url, keys, session)

    def envelope(
        self,
        message: bytes,
        *,
        receive_id: str = PARENT.corpid,
        timestamp: int | str | None = None,
        nonce: str | None = None,
        to_user_name: str | None = None,
        agent_id: str = str(PARENT.agentid),
        body_format: Format = Format.XML,
    ) -> tuple[Query, bytes]:
        """Return what `post` would send, for tests that tamper with it or send it twice."""
        sealed = sealed_post(
            self.keys,
            message,
            Address(receive_id, receive_id if to_user_name is None else to_user_name, agent_id),
            timestamp=_timestamp(timestamp),
            nonce=_nonce() if nonce is None else nonce,
            random=secrets.token_bytes(RANDOM_BYTES),
            body_format=body_format,
        )
        return sealed.query, sealed.body

    async def post(
        self,
        message: bytes,
        *,
        receive_id: str = PARENT.corpid,
        timestamp: int | str | None = None,
        nonce: str | None = None,
        tamper: Tamper | None = None,
        body_format: Format = Format.XML,
    ) -> Answer:
        """Seal, sign and post once; `tamper` changes the query and the body before they are sent."""
        query, body = self.envelope(
            message, receive_id=receive_id, timestamp=timestamp, nonce=nonce, body_format=body_format
        )
        return await self.post_envelope(*(tamper(query, body) if tamper else (query, body)), body_format)

    async def post_envelope(self, query: Query, body: bytes, body_format: Format = Format.XML) -> Answer:
        """Post exactly these bytes. Raises `AssertionError` if there is no answer."""
        sent = Post(query, body, body_format.content_type)
        answer = await post(self.session, self.url, sent, WITHIN_SECONDS)
        assert answer.status is not None, answer.error
        return answer.status, answer.body, answer.seconds

    async def verify(
        self,
        plaintext: str = "1616140317555161061",
        *,
        receive_id: str = PARENT.corpid,
        timestamp: int | str | None = None,
        tamper: Callable[[Query], Query] | None = None,
    ) -> Answer:
        """Request a verification of the URL. Raises `AssertionError` if there is no answer."""
        query = verification(
            self.keys,
            plaintext,
            receive_id,
            timestamp=_timestamp(timestamp),
            nonce=_nonce(),
            random=secrets.token_bytes(RANDOM_BYTES),
        )
        answer = await get(self.session, self.url, tamper(query) if tamper else query, WITHIN_SECONDS)
        assert answer.status is not None, answer.error
        return answer.status, answer.body, answer.seconds


def _timestamp(given: int | str | None) -> str:
    return str(int(time.time()) if given is None else given)


def _nonce() -> str:
    return str(secrets.randbelow(10**10))
