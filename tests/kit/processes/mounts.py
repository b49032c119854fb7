"""What a broker finds at other paths than everybody else: its own names of hosts, or a small disk.

A process gets these in a mount namespace of its own, which needs root, or user namespaces (Linux).
"""

import errno
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

UNSHARE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--map-root-user")
BLOCK = 1 << 16


@cache
def may_mount() -> bool:
    """Return whether this machine lets a test do so."""
    command = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Names:
    """The names of hosts on loopback that a process can resolve; all others are unknown to it."""

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._hosts, self._resolver = folder / "hosts", folder / "resolv.conf"
        self._names = names
        # Nobody listens there: a look-up fails at once, as with a name server that has crashed.
        self._resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.tell()

    def tell(self) -> None:
        """Let the names be resolved. The file stays the same one: it is mounted."""
        self._hosts.write_text(
            "127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in self._names)
        )

    def forget(self) -> None:
        """Let no name be resolved."""
        self._hosts.write_text("")

    @property
    def within(self) -> Sequence[str]:
        """Return the command before that of a process."""
        return _mounting(
            f"mount --bind {self._hosts} /etc/hosts && mount --bind {self._resolver} /etc/resolv.conf"
        )


class SmallDisk:
    """A disk of a few megabytes, which only the process that is started `within` has."""

    def __init__(self, folder: Path, megabytes: int = 8) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._megabytes = megabytes

    @property
    def within(self) -> Sequence[str]:
        """Return the command before that of a process."""
        return _mounting(f"mount -t tmpfs -o size={self._megabytes}m tmpfs {self.folder}")

    def fill(self, pid: int) -> None:
        """Leave no byte free on the disk of this process."""
        with self._filler(pid).open("wb", buffering=0) as filler:
            size = BLOCK
            while size:
                try:
                    filler.write(b"x" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def clear(self, pid: int) -> None:
        """Free it again."""
        self._filler(pid).unlink()

    def _filler(self, pid: int) -> Path:
        return Path(f"/proc/{pid}/root{self.folder}/filler")


def _mounting(mounts: str) -> Sequence[str]:
    return (*UNSHARE, "sh", "-c", f'{mounts} && exec "$@"', "sh")
