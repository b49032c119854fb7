"""Compare warm `GetAccessToken` over mutual TLS, with policy, limits and audit, with an empty handler.

The empty handler is served over the same mutual TLS, registered in gRPC's usual way. Both run on uvloop, on
one processor, and are called in turn. The ratio is of processor time a call: rates say little on a busy
machine.
"""

import asyncio
import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

import grpc
import uvloop

from bench.processor import cpu_nanoseconds
from bench.rows import Row, tell
from bench.serving import (
    IDENTITY,
    METHOD,
    REQUEST,
    in_process,
    serve_broker_by_certificate,
    serve_empty_by_certificate,
)
from tests.kit.processes.certificates import Authority

ROUNDS = 15
CALLS = 5_000
AT_ONCE = 64


def run() -> None:
    """Print the ratio."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    authority = Authority()
    with tempfile.TemporaryDirectory() as folder:
        tls = authority.sign(dns="localhost", address="127.0.0.1").write(Path(folder), "server")
        tls["client_ca"] = authority.write(Path(folder))
        client = authority.sign(uri=IDENTITY)
        credentials = grpc.ssl_channel_credentials(authority.pem, client.private_key, client.certificate)
        with (
            in_process(partial(serve_empty_by_certificate, tls=tls), cpus[0]) as empty,
            in_process(partial(serve_broker_by_certificate, tls=tls), cpus[0]) as broker,
        ):
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {cpus[-1]})
            uvloop.run(_compare(empty, broker, credentials))


async def _compare(
    empty: tuple[str, int], broker: tuple[str, int], credentials: grpc.ChannelCredentials
) -> None:
    measured = []
    async with (
        grpc.aio.secure_channel(empty[0], credentials) as to_empty,
        grpc.aio.secure_channel(broker[0], credentials) as to_broker,
    ):
        for _ in range(ROUNDS + 1):
            base = await _microseconds_a_call(to_empty, empty[1])
            measured.append((base, await _microseconds_a_call(to_broker, broker[1])))
    # The first round warms up.
    counted = measured[1:]
    ratios = [base / own for base, own in counted]
    low, middle, high = statistics.quantiles(ratios, n=4)
    for name, times in zip(("empty", "GetAccessToken"), zip(*counted, strict=True), strict=True):
        print(f"{name:22} {statistics.median(times):6.1f} µs of CPU a call")
    how = f"processor time a call, quartiles {low:.2f} and {high:.2f}; the empty handler as above"
    tell(Row("warm GetAccessToken ÷ empty, both over mutual TLS", middle, "×", how, at_least=0.95))


async def _microseconds_a_call(channel: grpc.aio.Channel, pid: int) -> float:
    """Return the server's processor time for each of many calls."""
    call = channel.unary_unary(METHOD)
    body, left = REQUEST.SerializeToString(), CALLS
    before = cpu_nanoseconds(pid)

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call(body)

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return (cpu_nanoseconds(pid) - before) / CALLS / 1000


if __name__ == "__main__":
    run()
