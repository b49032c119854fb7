"""Ports for servers that a test starts and that cannot choose one themselves."""

import fcntl
import os
import random
import socket
import tempfile
from collections import deque
from pathlib import Path

LOWEST, HIGHEST = 12_000, 22_000
"""Below the ephemeral ports of the system; a cluster's bus ports, 10,000 higher, are too."""
REMEMBERED = 100
"""How many ports this process reserves while nothing listens on them."""

_locks: deque[int] = deque()
_given: set[int] = set()


def free_port() -> int:
    """Return a port that is free on loopback and reserved by no other test, worker or run.

    A process gets each port once: gRPC shares what it knows of an address with all channels of the
    process, so a channel that a test has left open would let another test's calls fail at the same port.
    """
    while True:
        port = random.randrange(LOWEST, HIGHEST)
        if port not in _given and _reserve(port):
            _given.add(port)
            return port


def _reserve(port: int) -> bool:
    """Lock a file named after the port; return False if another process has the port."""
    folder = Path(tempfile.gettempdir()) / f"ports-of-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(port), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
    except OSError:
        os.close(lock)
        return False
    _locks.append(lock)
    if len(_locks) > REMEMBERED:
        os.close(_locks.popleft())
    return True
