"""One place where callers connect, as the configuration has it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """An address, and what is known of everybody who connects there."""

    address: str
    demands_certificate: bool = False
    mode: int | None = None
    """Of a socket file; without it, the umask of the process decides."""
    caller: str = ""
    """The caller that everybody on this socket is."""
    uid: int | None = None
    """The only user whose processes may connect."""

    @property
    def is_socket(self) -> bool:
        """Return whether this is a socket file."""
        return self.address.startswith("unix://")

    @property
    def path(self) -> str:
        """Return the path of the socket file."""
        return self.address.removeprefix("unix://")
