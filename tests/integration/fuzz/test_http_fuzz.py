"""Hostile requests to the HTTP door: no 500, no traceback, no hang, no memory kept."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.integration.conftest import Figures
from tests.integration.fuzz.target import ANSWERED_WITHIN_SECONDS, SEED, target
from tests.kit.callbacks.attacks import attacks, http

AT_ONCE = 32
PATIENCE_SECONDS = 0.3
"""How long an answer may take before the sender hangs up."""
ENDINGS = (b"\r\n", b"\n", b"\r", b"\0\r\n")
PATHS = (
    "/callback/crm",
    "/callback/market/",
    "/callback/tailored/wp0nobody",
    "/callback/acme",
    "/callback/nobody",
    "/livez",
    "/readyz",
    "/metrics",
    "/version",
    "/",
    "/callback/../metrics",
    "/callback/%00",
    "//callback//crm",
    "/callback/crm?msg_signature=x&timestamp=1&nonce=2&echostr=%ff",
    "*",
    "http://elsewhere.example/callback/crm",
)
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X" * 300)
HEADERS = (
    {"Content-Length": "-1"},
    {"Content-Length": "1e9"},
    {"Content-Length": "99999999999999999999"},
    {"Transfer-Encoding": "chunked"},
    {"Transfer-Encoding": "chunked, identity"},
    {"Expect": "100-continue"},
    {"Host": ""},
    {"X-Long": "x" * 9000},
    {"X-Forwarded-For": "203.0.113.9, " * 500},
    {"Content-Encoding": "gzip"},
    {"Connection": "Upgrade", "Upgrade": "websocket"},
    {"Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"},
    {"Cookie": "\xff\xfe"},
)


class Stranger:
    """Make the bytes of requests; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._attacks = [attack.request for attack in attacks()]

    def request(self) -> bytes:
        """Return an attack of the list, a request of odd parts, or any bytes; sometimes changed."""
        chance = self._random.random()
        if chance < 0.05:
            return self._random.randbytes(self._random.randrange(1, 3000))
        made = self._random.choice(self._attacks) if chance < 0.45 else self._odd()
        return self._changed(made) if self._random.random() < 0.4 else made

    def _odd(self) -> bytes:
        choice = self._random.choice
        made = http(
            choice(METHODS),
            choice(PATHS),
            body=self._random.randbytes(choice((0, 0, 10, 2000))),
            headers=choice(HEADERS),
        )
        return made.replace(b"\r\n", choice(ENDINGS)) if self._random.random() < 0.1 else made

    def _changed(self, made: bytes) -> bytes:
        found = bytearray(made)
        for _ in range(self._random.randrange(1, 8)):
            place = self._random.randrange(len(found) + 1)
            match self._random.randrange(3):
                case 0 if place < len(found):
                    found[place] ^= 1 << self._random.randrange(8)
                case 1:
                    del found[place : place + self._random.randrange(1, 60)]
                case _:
                    found[place:place] = self._random.randbytes(self._random.randrange(1, 30))
        return bytes(found)


@pytest.mark.slow
async def test_no_stranger_makes_the_door_stumble(tmp_path: Path, figures: Figures) -> None:
    stranger = Stranger(SEED)
    answers: Counter[str] = Counter()
    wrong: list[str] = []

    async def work(port: int, numbers: Iterator[int]) -> None:
        for _ in numbers:
            request = stranger.request()
            try:
                async with asyncio.timeout(ANSWERED_WITHIN_SECONDS):
                    status = await _status(port, request)
            except TimeoutError:
                status = "hung"
            answers[status] += 1
            if status in ("500", "hung"):
                wrong.append(f"{status}: {request[:300]!r}")

    async def send(count: int) -> None:
        numbers = iter(range(count))
        await asyncio.gather(*(work(running.process.http_port, numbers) for _ in range(AT_ONCE)))

    async with target(tmp_path) as running:
        megabytes = await running.endures(send)
    assert [] == wrong, f"seed {SEED}"
    figures(requests=sum(answers.values()), megabytes=megabytes, **answers)


async def _status(port: int, request: bytes) -> str:
    """Send the bytes and nothing more; return the status of the first answer, or that the broker hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(request)
        with suppress(ConnectionError):
            await writer.drain()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    answer = await reader.read(200)
            except TimeoutError:
                # The request is unfinished, and never will be finished.
                writer.write_eof()
                answer = await reader.read(200)
    finally:
        writer.close()
    return answer.split()[1].decode() if answer.startswith(b"HTTP/1.") else "closed"
