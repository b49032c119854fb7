"""Compare warm `GetAccessToken` and `SignPage` calls of the broker with empty handlers of the same messages.

All servers run on uvloop in one run, on one processor, and are called in turn. They are started several
times: where a process happens to keep its things in memory moves a ratio by up to 0.04. With `h2load` on the
PATH (Debian: nghttp2-client) it makes the load; otherwise Python does, which hardly keeps a server busy: then
the ratio is better than it should be.
"""

import asyncio
import os
import re
import shutil
import statistics
import struct
import tempfile
import time
from typing import NamedTuple

import grpc
import uvloop

from bench.processor import cpu_nanoseconds
from bench.rows import Row, tell
from bench.serving import (
    BEARER,
    METHOD,
    REQUEST,
    SIGN_METHOD,
    SIGN_REQUEST,
    in_process,
    serve_broker,
    serve_broker_with_callers,
    serve_empty,
)

STARTS = 3
ROUNDS = 5
"""After each start; one more warms up."""
CALLS = 10_000
AT_ONCE = 64
GOALS = {"GetAccessToken": 1.0, "… with 20 callers": 1.0, "SignPage": 0.93}
BASELINES = {
    "empty GetAccessToken": "empty GetAccessToken",
    "GetAccessToken": "empty GetAccessToken",
    "… with 20 callers": "empty GetAccessToken",
    "empty SignPage": "empty SignPage",
    "SignPage": "empty SignPage",
}
"""What each subject is compared with."""
HOW = "processor time a call, paired rounds; the empty handler is registered by generated code, with protobuf"


class Subject(NamedTuple):
    """One method of one server."""

    address: str
    pid: int
    method: str
    body: bytes


class Round(NamedTuple):
    """One round against one server."""

    calls_per_second: float
    cpu_microseconds: float


def run() -> None:
    """Print the ratios."""
    print(f"load from {'h2load' if shutil.which('h2load') else 'Python (no h2load here)'}")
    starts = [_measure() for _ in range(STARTS)]
    for name, baseline in BASELINES.items():
        counted, compared = (
            [one for start in starts for one in start[subject]] for subject in (name, baseline)
        )
        _tell(name, counted, compared)


def _measure() -> dict[str, list[Round]]:
    """Start the servers, and return the rounds of each."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    with (
        in_process(serve_empty, cpus[0]) as empty,
        in_process(serve_broker, cpus[0]) as broker,
        in_process(serve_broker_with_callers, cpus[0]) as guarded,
    ):
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {cpus[-1]})
        token, page = (METHOD, REQUEST.SerializeToString()), (SIGN_METHOD, SIGN_REQUEST.SerializeToString())
        subjects = {
            "empty GetAccessToken": Subject(*empty, *token),
            "GetAccessToken": Subject(*broker, *token),
            "… with 20 callers": Subject(*guarded, *token),
            "empty SignPage": Subject(*empty, *page),
            "SignPage": Subject(*broker, *page),
        }
        try:
            return uvloop.run(_call_in_turn(subjects))
        finally:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, set(cpus))


async def _call_in_turn(subjects: dict[str, Subject]) -> dict[str, list[Round]]:
    load = _h2load if shutil.which("h2load") else _python_load
    rounds: dict[str, list[Round]] = {name: [] for name in subjects}
    for _ in range(ROUNDS + 1):
        for name, subject in subjects.items():
            before = cpu_nanoseconds(subject.pid)
            rate = await load(subject)
            rounds[name].append(Round(rate, (cpu_nanoseconds(subject.pid) - before) / CALLS / 1000))
    return {name: measured[1:] for name, measured in rounds.items()}


def _tell(name: str, counted: list[Round], baseline: list[Round]) -> None:
    rate = statistics.median(entry.calls_per_second for entry in counted)
    cpu = statistics.median(entry.cpu_microseconds for entry in counted)
    ratios = [
        other.cpu_microseconds / one.cpu_microseconds for one, other in zip(counted, baseline, strict=True)
    ]
    ratio = statistics.median(ratios)
    print(f"{name:22} {rate:7.0f} calls/s  {cpu:6.1f} µs of CPU a call   ratio to empty: {ratio:.2f}")
    if name in GOALS:
        tell(Row(f"warm {name} ÷ empty", ratio, "×", HOW, at_least=GOALS[name]))


async def _h2load(subject: Subject) -> float:
    """Return the calls per second that h2load counts; every call must have succeeded."""
    body = subject.body
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0" + struct.pack(">I", len(body)) + body)
        file.flush()
        command = ["h2load", "-n", str(CALLS), "-c", "4", "-m", str(AT_ONCE // 4), "-d", file.name]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        command += ["-H", f"authorization: Bearer {BEARER}", f"http://{subject.address}{subject.method}"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output = (await process.communicate())[0].decode()
    found = re.search(r"finished in .*, ([0-9.]+) req/s", output)
    if found is None or f"{CALLS} succeeded" not in output:
        raise RuntimeError(output)
    return float(found.group(1))


async def _python_load(subject: Subject) -> float:
    """Return the answered calls per second of this process."""
    async with grpc.aio.insecure_channel(subject.address) as channel:
        call = channel.unary_unary(subject.method)
        metadata = (("authorization", f"Bearer {BEARER}"),)
        left = CALLS
        began = time.perf_counter()

        async def caller() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await call(subject.body, metadata=metadata)

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        return CALLS / (time.perf_counter() - began)


if __name__ == "__main__":
    run()
