"""Socket files: never taken from a server that runs, and never open to more than their mode says."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.server.http.server import CannotListen

OWNER_ALONE = 0o177


def require_unused(path: str) -> None:
    """Refuse a socket file in use, which gRPC would take from a running server. Raises `CannotListen`."""
    if not Path(path).parent.is_dir():
        raise CannotListen(f"cannot listen on unix://{path}: its folder does not exist")
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(path)
        raise CannotListen(f"cannot listen on unix://{path}: the socket is in use")


@contextmanager
def made_with(path: str, mode: int | None) -> Iterator[None]:
    """Give the socket file that is made inside the block its mode; until then its owner alone may connect."""
    if mode is None:
        yield
        return
    # The umask is the whole process's: this one gives no file of another thread more rights than usual.
    before = os.umask(OWNER_ALONE)
    try:
        yield
    finally:
        os.umask(before)
    Path(path).chmod(mode)


def remove(path: str) -> None:
    """Remove the socket file, if it is there and is one."""
    with suppress(FileNotFoundError):
        if Path(path).is_socket():
            Path(path).unlink()
