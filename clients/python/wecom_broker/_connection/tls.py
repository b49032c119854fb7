"""How the client and the broker authenticate each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import grpc


@dataclass(frozen=True)
class Tls:
    """How the client verifies the broker, and how the broker verifies the client.

    Each part is PEM, as bytes or as the path of a file; files are read when the channel is opened.
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

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises OSError."""
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.private_key), _pem(self.certificate))


def _pem(source: bytes | str | Path | None) -> bytes | None:
    return source if source is None or isinstance(source, bytes) else Path(source).read_bytes()
