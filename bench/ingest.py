"""Measure how many callbacks a second a broker writes and answers, over 64 connections, by kind of store.

One process on one processor posts messages that were sealed before; the broker has another processor.
Rates say little on a busy machine: the broker's processor time for each callback says what a core could do.
The slow disk is made by a connection to SQLite that waits as long as a disk does before each commit.
"""

import asyncio
import os
import re
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import uvloop

from bench.processor import cpu_nanoseconds
from bench.rows import Row, tell
from bench.serving import in_process, serve_broker_with_callbacks
from broker.cli.demo.playground import APP
from broker.simulator.callbacks.cdata import document
from broker.simulator.callbacks.envelope import sealed_post
from broker.simulator.crypto import RANDOM_BYTES
from broker.simulator.demo import CALLBACK_KEYS, PARENT
from broker.simulator.world.events.callback import Address
from tests.kit.processes.redis_server import RedisServer

AT_ONCE = 64
WARM_UP, CALLS, ROUNDS = 500, 4_000, 3
GOAL = 2000
FSYNC_SECONDS = 0.002
ACCEPTED, BUSY = b" 200 ", b" 503 "
LENGTH = re.compile(rb"Content-Length: ([0-9]+)")


class Rate(NamedTuple):
    """What one round showed."""

    posts_per_second: float
    cpu_microseconds: float
    """Of the broker, for each callback."""


class SlowDisk(sqlite3.Connection):
    """Commit as on a disk that takes its time."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]:
        """Wait before what was written is committed."""
        if self.in_transaction:
            time.sleep(FSYNC_SECONDS)
        return super().__exit__(kind, error, trace)


async def serve(pipe: Connection, store: str, *, slow: bool) -> None:
    """Serve a broker with that store, or with a SQLite file of its own."""
    if slow:
        sqlite3.connect = partial(sqlite3.connect, factory=SlowDisk)  # type: ignore[assignment]
    await serve_broker_with_callbacks(pipe, store)


@contextmanager
def redis(appendfsync: str) -> Iterator[str]:
    """Run a Redis that logs, and yield its address."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder), "--appendfsync", appendfsync, append_only=True) as server,
    ):
        yield server.url


def measure() -> dict[str, Rate]:
    """Return the median round for each kind of store."""
    stores: dict[str, tuple[AbstractContextManager[str], bool]] = {
        "SQLite": (nullcontext(""), False),
        "SQLite, fsync 2 ms": (nullcontext(""), True),
        "Redis": (redis("everysec"), False),
        "Redis, always": (redis("always"), False),
    }
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    found = {}
    for name, (store, slow) in stores.items():
        with store as url, in_process(partial(serve, store=url, slow=slow), cpus[0]) as (address, pid):
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {cpus[-1]})
            rounds = uvloop.run(_rounds(address, pid))
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, set(cpus))
        found[name] = sorted(rounds)[len(rounds) // 2]
    return found


async def _rounds(address: str, pid: int) -> list[Rate]:
    await _posted(address, _requests(WARM_UP))
    rates = []
    for _ in range(ROUNDS):
        requests = _requests(CALLS)
        before, began = cpu_nanoseconds(pid), time.perf_counter()
        await _posted(address, requests)
        took = time.perf_counter() - began
        rates.append(Rate(CALLS / took, (cpu_nanoseconds(pid) - before) / CALLS / 1000))
    return rates


async def _posted(address: str, requests: Sequence[bytes]) -> None:
    """Post all, over 64 connections, until each is accepted: WeCom repeats what is refused, too."""
    left = list(requests)
    host, port = address.split(":")

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while left:
            request = left.pop()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            if BUSY in head:
                left.append(request)
            elif ACCEPTED not in head:
                raise RuntimeError(head.decode())
        writer.close()

    await asyncio.gather(*(connection() for _ in range(AT_ONCE)))


def _requests(count: int) -> list[bytes]:
    """Return different messages, each as a whole HTTP request."""
    timestamp = str(int(time.time()))
    return [_request(secrets.token_hex(8), timestamp) for _ in range(count)]


def _request(message_id: str, timestamp: str) -> bytes:
    message = document(
        ToUserName=PARENT.corpid,
        FromUserName="lisi",
        CreateTime=int(timestamp),
        MsgType="text",
        Content="The customer of order 4711 asks when it arrives",
        MsgId=message_id,
        AgentID=PARENT.agentid,
    )
    post = sealed_post(
        CALLBACK_KEYS,
        message.encode(),
        Address(PARENT.corpid, PARENT.corpid, str(PARENT.agentid)),
        timestamp=timestamp,
        nonce=str(secrets.randbelow(10**10)),
        random=secrets.token_bytes(RANDOM_BYTES),
    )
    head = (
        f"POST /callback/{APP}?{urlencode(post.query)} HTTP/1.1\r\nHost: broker.example.com\r\n"
        f"Content-Type: {post.content_type}\r\nContent-Length: {len(post.body)}\r\n\r\n"
    )
    return head.encode() + post.body


def run() -> None:
    """Tell a row for each kind of store."""
    for name, rate in measure().items():
        how = f"posted over {AT_ONCE} connections, {rate.cpu_microseconds:.0f} µs of the broker's CPU each"
        tell(Row(f"callbacks, {name}", rate.posts_per_second, "/s", how, at_least=GOAL))


if __name__ == "__main__":
    run()
