"""Servers that belong together: a primary with its replica and sentinels, and the members of a Cluster."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import RedisServer, binary, die_with_parent
from tests.kit.time_bounds import TooSlow

JOINED_WITHIN_SECONDS = 60.0
PROMPT_MS, STEADY_MS = 500, 60_000
"""For how long a server must be silent before another replaces it: where a test kills one, and elsewhere.

A busy machine holds up every server for half a second now and then.
"""
PRIMARY_NAME = "main"
SLOTS = 16384


def ask(port: int, *words: Any, **login: Any) -> Any:
    """Return the server's answer."""
    with Redis(port=port, **login) as redis:
        return redis.execute_command(*words)  # type: ignore[no-untyped-call]


Front = Callable[[int], int]
"""Gives a server's port another one before it, which the set tells its clients."""


def _itself(port: int) -> int:
    """Put nothing before it."""
    return port


class SentinelSet:
    """A primary, replicas and three sentinels. A context manager."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        replicas: int = 1,
        users: Sequence[str] = (),
        login: str = "",
        front: Front = _itself,
        down_after_ms: int = PROMPT_MS,
    ) -> None:
        self._folder = folder
        self._down_after_ms = down_after_ms
        self._users = users
        """Commands of the sentinels' configuration."""
        self._login = login
        """Options of replicas and sentinels that log in at the primary."""
        ports = [free_port() for _ in range(replicas + 1)]
        self._announced = {port: front(port) for port in ports}
        self.servers = [
            RedisServer(
                folder / f"server{n}",
                *("--repl-diskless-sync-delay", "0", "--replica-announce-port", str(self._announced[port])),
                *options,
                port=port,
            )
            for n, port in enumerate(ports)
        ]
        self.ports = [free_port() for _ in range(3)]
        self._asked = [front(port) for port in self.ports]
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Return the address for a configuration."""
        return self.url_as("")

    def url_as(self, user: str, scheme: str = "redis") -> str:
        """Return the address with a user and password."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._asked)
        return f"{scheme}+sentinel://{user and f'{user}@'}{hosts}/{PRIMARY_NAME}/0"

    def __enter__(self) -> Self:
        first, *others = self.servers
        self._stack.enter_context(first)
        for replica in others:
            self._stack.enter_context(replica)
            ask(replica.port, "REPLICAOF", "127.0.0.1", self._announced[first.port])
        _wait("a replica", lambda: all("up" == _info(server.port)["master_link_status"] for server in others))
        for position, port in enumerate(self.ports):
            self._sentinels.append(self._start(position, port))
        _wait("a sentinel", lambda: all(self._is_complete(port) for port in self.ports))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        self._stack.close()

    def kill_sentinel(self, position: int) -> None:
        """Kill one of the sentinels."""
        self._sentinels[position].kill()
        self._sentinels[position].wait()

    def primary(self) -> RedisServer:
        """Return the server that most sentinels name: after a failover one after the other hears of it."""
        [(port, _)] = Counter(map(self._named_by, self.ports)).most_common(1)
        return next(server for server in self.servers if self._announced[server.port] == port)

    def _named_by(self, port: int) -> int:
        _, named = ask(port, "SENTINEL GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME)
        return int(named)

    def _start(self, position: int, port: int) -> subprocess.Popen[bytes]:
        folder = self._folder / f"sentinel{position}"
        folder.mkdir(parents=True)
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {PRIMARY_NAME} 127.0.0.1 {self._announced[self.servers[0].port]} 2",
            f"sentinel down-after-milliseconds {PRIMARY_NAME} {self._down_after_ms}",
            f"sentinel failover-timeout {PRIMARY_NAME} 2000",
            *self._users,
        ]
        path = folder / "sentinel.conf"
        path.write_text("\n".join(lines) + "\n")
        return subprocess.Popen(
            [binary(), str(path), "--sentinel"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )

    def _is_complete(self, port: int) -> bool:
        words = ask(port, "SENTINEL MASTERS")[PRIMARY_NAME]
        return bool(
            words["num-other-sentinels"] == len(self.ports) - 1
            and words["num-slaves"] == len(self.servers) - 1
        )


class ClusterSet:
    """Three primaries, each perhaps with a replica. A context manager."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        replicas: int = 0,
        front: Front = _itself,
        down_after_ms: int = 2 * PROMPT_MS,
    ) -> None:
        ports = [free_port() for _ in range(3 + replicas)]
        self._announced = {port: front(port) for port in ports}
        self.servers = [
            RedisServer(
                folder / f"member{n}",
                *("--cluster-announce-port", str(self._announced[port])),
                *("--cluster-enabled", "yes", "--cluster-node-timeout", str(down_after_ms)),
                *("--cluster-port", str(free_port()), "--repl-diskless-sync-delay", "0", *options),
                port=port,
            )
            for n, port in enumerate(ports)
        ]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Return the address for a configuration."""
        return self.url_as("")

    def url_as(self, user: str, scheme: str = "redis") -> str:
        """Return the address with a user and password."""
        hosts = ",".join(f"127.0.0.1:{self._announced[server.port]}" for server in self.servers[:3])
        return f"{scheme}+cluster://{user and f'{user}@'}{hosts}"

    def __enter__(self) -> Self:
        for server in self.servers:
            self._stack.enter_context(server)
        primaries = self.servers[:3]
        for position, server in enumerate(primaries):
            ask(server.port, "CLUSTER SET-CONFIG-EPOCH", position + 1)
            first, end = SLOTS * position // 3, SLOTS * (position + 1) // 3
            ask(server.port, "CLUSTER ADDSLOTSRANGE", first, end - 1)
        # Only one of two meets the other: else their links are made anew, and what is published is lost.
        for server, other in combinations(self.servers, 2):
            bus = int(other.option("--cluster-port"))
            ask(server.port, "CLUSTER MEET", "127.0.0.1", self._announced[other.port], bus)
        _wait("the cluster", lambda: all(self._knows_all(server) for server in self.servers))
        for position, replica in enumerate(self.servers[3:]):
            ask(replica.port, "CLUSTER REPLICATE", _text(ask(primaries[position].port, "CLUSTER MYID")))
        _wait(
            "a replica of the cluster",
            lambda: all("up" == _info(server.port).get("master_link_status") for server in self.servers[3:]),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _knows_all(self, server: RedisServer) -> bool:
        """Return whether the server passes on to all others what is published: it needs a link to each."""
        if ask(server.port, "CLUSTER INFO")["cluster_state"] != "ok":
            return False
        nodes = [line.split()[:8] for line in _text(ask(server.port, "CLUSTER", "NODES")).splitlines()]
        linked = [flags for _, _, flags, *_, link in nodes if link == "connected"]
        return len(linked) == len(self.servers) and not any("handshake" in flags for flags in linked)


def _info(port: int) -> dict[str, Any]:
    found: dict[str, Any] = ask(port, "INFO", "replication")
    return found


def _text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def _wait(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + JOINED_WITHIN_SECONDS
    while True:
        try:
            if is_so():
                return
        except (RedisError, OSError, KeyError):
            pass
        if time.monotonic() > deadline:
            raise TooSlow(f"{what} of the tests does not come up")
        time.sleep(0.02)
