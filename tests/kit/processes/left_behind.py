"""Where brokers may leave secrets: stores, logs, audit trails, metrics, and what `ps` and /proc show."""

import os
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redis import Redis

from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.redis_server import RedisServer

NOBODY = 65534
READ_PROC = """
ps -p "$1" -ww -o pid,args
for name in cmdline comm environ status stat maps mountinfo auxv io syscall
do echo "$name:"; cat "/proc/$1/$name" 2>&1
done
exit 0
"""


class Monitor(threading.Thread):
    """Write down every command that Redis gets; text that is plain stays so."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.heard = b""
        self._link = socket.create_connection(("127.0.0.1", port))
        self._link.sendall(b"MONITOR\r\n")

    def run(self) -> None:
        with self._link:
            while more := self._link.recv(1 << 16):
                self.heard += more


def left_behind(
    folder: Path, brokers: Sequence[BrokerProcess], redis: RedisServer | None, monitor: Monitor | None
) -> dict[str, bytes]:
    """Return all of it by place; stores are in `redis` and `store` below the folder, keys are left out."""
    found = {}
    if redis:
        found["redis keys and values"] = _dump(redis.port)
    if monitor:
        found["redis commands"] = monitor.heard
    for path in [*(folder / "redis").rglob("*"), *(folder / "store").glob("*")]:
        if path.is_file() and path.suffix != ".key":
            found[path.name] = path.read_bytes()
    for broker in brokers:
        assert broker.process
        found[str(broker.log)] = broker.log.read_bytes()
        found[f"metrics of {broker.address}"] = broker.metrics().encode()
        found[f"command line of {broker.address}"] = Path(f"/proc/{broker.process.pid}/cmdline").read_bytes()
        found[f"{broker.address} as another user sees it"] = seen_by_others(broker.process.pid)
    for path in folder.rglob("*audit*.log"):
        found[str(path)] = path.read_bytes()
    return found


def seen_by_others(pid: int) -> bytes:
    """Return all that another user of the machine can read of a process; root can ask as one."""
    as_nobody: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    # A shell: another user may not be allowed to run this Python.
    result = subprocess.run(
        ["/bin/sh", "-c", READ_PROC, "sh", str(pid)],
        capture_output=True,
        check=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        **as_nobody,
    )
    return result.stdout


def _dump(port: int) -> bytes:
    read = {
        b"none": lambda *_: b"",  # it ended since the scan
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
        b"stream": lambda client, key: client.xrange(key),
    }
    with Redis(port=port) as client:
        pairs = [(key, read[client.type(key)](client, key)) for key in client.scan_iter()]
    assert pairs
    # repr would hide printable text behind escapes only where it is no plain text.
    return b"\n".join(key + b" = " + _flat(value) for key, value in pairs)


def _flat(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        return b" ".join(_flat(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set):
        return b" ".join(_flat(item) for item in value)
    return str(value).encode()
