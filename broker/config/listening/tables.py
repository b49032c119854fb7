"""`[server]` and `[console]`: where the broker listens, and how callers prove who they are."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from broker.config.field_types import Address, FileMode, Name, Network, ReadablePath
from broker.config.table import Table


class TlsTable(Table):
    """`tls` of a listener: paths of PEM files."""

    certificate: ReadablePath
    private_key: ReadablePath
    client_ca: ReadablePath | None = None
    client_ca_required: bool = True


class ListenerTable(Table):
    """One of `grpc`, as a table."""

    address: Address
    mode: FileMode | None = None
    caller: Name | None = None
    uid: Annotated[int, Field(strict=True, ge=0, lt=2**32 - 1)] | None = None
    client_certificate: bool | None = None

    @property
    def is_socket(self) -> bool:
        """Return whether this is a socket file."""
        return self.address.startswith("unix:")

    def demands_certificate(self, tls: TlsTable | None) -> bool:
        """Return whether clients must present a certificate here; else nobody asks for one."""
        if self.is_socket or tls is None or tls.client_ca is None:
            return False
        return tls.client_ca_required if self.client_certificate is None else self.client_certificate


def _form(given: Any) -> str | None:  # noqa: ANN401 - whatever the file says
    if isinstance(given, str):
        return "address"
    return "listener" if isinstance(given, dict | ListenerTable) else None


Listener = Annotated[
    Annotated[Address, Tag("address")] | Annotated[ListenerTable, Tag("listener")], Discriminator(_form)
]


class ServerTable(Table):
    """`[server]`."""

    grpc: Annotated[list[Listener], Field(min_length=1)] = ["127.0.0.1:50051"]
    http: Address = "127.0.0.1:8080"
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    tls: TlsTable | None = None
    trusted_proxies: list[Network] = []
    reflection: bool = False
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 10

    @property
    def listeners(self) -> list[ListenerTable]:
        """Return where gRPC is served, each as a table."""
        return [
            listener if isinstance(listener, ListenerTable) else ListenerTable(address=listener)
            for listener in self.grpc
        ]


class ConsoleTable(Table):
    """`[console]`: a page for operators."""

    listen: Address | None = None
    """None = off."""
    tls: TlsTable | None = None
