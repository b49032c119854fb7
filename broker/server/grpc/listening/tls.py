"""A listener's certificate, its key and the CA of its clients, read again while it serves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from broker.domain.ports.clock import Clock
from broker.server.http.server import CannotListen
from broker.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of the PEM files that identify a listener and its callers, and the key that names them."""

    certificate: str
    private_key: str
    client_ca: str | None = None
    key: str = "server.tls"


@dataclass(frozen=True, slots=True)
class _Pems:
    """What stood in the files when they were read last."""

    certificate: bytes
    private_key: bytes = field(repr=False)
    client_ca: bytes | None

    def configuration(self, *, demand: bool) -> grpc.ServerCertificateConfiguration:
        """Return a new one each time: gRPC takes it over."""
        pair = (self.private_key, self.certificate)
        return grpc.ssl_server_certificate_configuration([pair], self.client_ca if demand else None)


class _Found(NamedTuple):
    """What the files have, and for how long, by the key that names each."""

    pems: _Pems
    first_ends: dict[str, datetime]
    """When the first certificate of each file ends."""
    usable_until: dict[str, datetime]
    """When nobody can connect any more: the chain's leaf has ended, or all CAs of the clients have."""


class ServerTls:
    """TLS of listeners. Each handshake takes what is current; gRPC's are on threads of their own."""

    def __init__(self, files: TlsFiles, clock: Clock, metrics: Metrics) -> None:
        """Read the files. Raises `CannotListen`.

        A certificate that has expired is taken: clients of socket files need none.
        """
        self.files = files
        self._clock = clock
        self._not_after = metrics.tls_not_after
        self.ends: dict[str, datetime] = {}
        """When the first certificate of each file ends, by the key that names the file."""
        self.version = 0
        """Counts what was taken from the files."""
        found = self._read()
        self._current = found.pems
        self._tell(found.first_ends)

    def read_again(self) -> None:
        """Take what the files have now, for new connections. Raises `CannotListen` and changes nothing."""
        self.newer()()

    def newer(self) -> Callable[[], None]:
        """Read the files, and return what takes them for new connections. Raises `CannotListen`.

        A certificate that has expired beside good ones, such as an old CA, is no reason to refuse them.
        """
        found = self._read()
        if found.pems == self._current:
            return lambda: None
        for key, end in found.usable_until.items():
            if end <= self._clock.now():
                raise CannotListen(f"{key}: expired at {end:%Y-%m-%dT%H:%M:%SZ}")

        def take() -> None:
            self._current = found.pems
            self.version += 1
            self._tell(found.first_ends)

        return take

    def credentials(self, *, demand: bool) -> grpc.ServerCredentials:
        """Return the credentials of a listener, which demands client certificates or does not ask for them.

        gRPC for Python has nothing between the two.
        """
        served = self._current

        def newer() -> Any:  # noqa: ANN401 - grpc's type stubs lack None, which means: as before
            nonlocal served
            if served is self._current:
                return None
            served = self._current
            return served.configuration(demand=demand)

        return grpc.dynamic_ssl_server_credentials(served.configuration(demand=demand), newer, demand)

    def _read(self) -> _Found:
        """Return what the files have now. Raises `CannotListen`."""
        files, key = self.files, self.files.key
        pems = _Pems(
            _bytes(f"{key}.certificate", files.certificate),
            _bytes(f"{key}.private_key", files.private_key),
            _bytes(f"{key}.client_ca", files.client_ca) if files.client_ca else None,
        )
        chain = _certificates(f"{key}.certificate", pems.certificate)
        _require_pair(key, chain[0], pems.private_key)
        first_ends = {f"{key}.certificate": min(map(_end, chain))}
        usable_until = {f"{key}.certificate": _end(chain[0])}
        if pems.client_ca is not None:
            ends = [_end(ca) for ca in _certificates(f"{key}.client_ca", pems.client_ca)]
            first_ends[f"{key}.client_ca"], usable_until[f"{key}.client_ca"] = min(ends), max(ends)
        return _Found(pems, first_ends, usable_until)

    def _tell(self, ends: dict[str, datetime]) -> None:
        self.ends.update(ends)
        for key, end in ends.items():
            self._not_after.labels(key.removeprefix("server.tls.")).set(end.timestamp())


def _bytes(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CannotListen(f"{key}: cannot read {path}: {error.strerror}") from None


def _certificates(key: str, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CannotListen(f"{key}: has no certificate in PEM") from None


def _require_pair(table: str, certificate: x509.Certificate, private_key: bytes) -> None:
    # gRPC does not report what is wrong with a key pair: it only fails to bind.
    try:
        key = load_pem_private_key(private_key, password=None)
    except TypeError:
        raise CannotListen(f"{table}.private_key: is encrypted; give the broker a plain one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CannotListen(f"{table}.private_key: has no private key in PEM") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise CannotListen(f"{table}: certificate and private_key are no pair")


def _end(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc
