"""How the client and the broker authenticate each other."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Tls:
    """How the client verifies the broker, and how the broker verifies the client.

    Each part is PEM, as bytes or as the path of a file. Files are used anew when their contents change: calls
    that begin a few seconds later use a connection with the new ones, and those under way go on. The third
    change ends the calls that began before the first; events and watches are then opened again by themselves.
    `ca` defaults to gRPC's own roots; `certificate` and `private_key` are for mutual TLS and go together;
    `server_name` is the name to expect in the broker's certificate when it is not the target's.
    """

    ca: bytes | str | Path | None = None
    certificate: bytes | str | Path | None = None
    private_key: bytes | str | Path | None = field(default=None, repr=False)
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Refuse a certificate without its key."""
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key go together")

    @property
    def has_files(self) -> bool:
        """Whether any part is a file."""
        return any(True for _ in self._paths())

    def versions(self) -> tuple[bytes | None, ...]:
        """Return what changes when the contents of a file do, and not when it is only written again."""
        return tuple(_version(path) for path in self._paths())

    def fits(self) -> bool:
        """Return whether the certificate and the key in the files go together."""
        if not isinstance(self.certificate, str | Path) or not isinstance(self.private_key, str | Path):
            return True
        try:
            # With a password at hand, OpenSSL does not ask for one at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                self.certificate, self.private_key, password=""
            )
        except OSError:
            return False
        return True

    def _paths(self) -> Iterator[Path]:
        for source in (self.ca, self.certificate, self.private_key):
            if isinstance(source, str | Path):
                yield Path(source)

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises OSError."""
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.private_key), _pem(self.certificate))


def _version(path: Path) -> bytes | None:
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None


def _pem(source: bytes | str | Path | None) -> bytes | None:
    return source if source is None or isinstance(source, bytes) else Path(source).read_bytes()
