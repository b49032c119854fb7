"""Ports for servers that a test starts."""

import os
import random
import socket
from collections.abc import Iterator

FIRST, LAST = 12_000, 22_000
"""Below the ports of outgoing connections, which would take some between choice and use.

The members of a Redis cluster talk to each other on a port that is 10,000 higher: it is free of both too.
"""
WORKERS = 16


def _own_ports() -> Iterator[int]:
    """Yield ports that no other worker of this run of pytest yields."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    # Another run on this machine begins elsewhere.
    rounds = (LAST - FIRST) // WORKERS
    turn = random.randrange(rounds)
    while True:
        yield FIRST + turn * WORKERS + worker
        turn = (turn + 1) % rounds


_PORTS = _own_ports()


def free_port() -> int:
    """Return a port that is free on loopback, and that no other test is given."""
    while True:
        port = next(_PORTS)
        with socket.socket() as listener:
            # A connection that has ended holds its port for a minute, but hinders no server that reuses it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
