"""The gRPC server: listeners, TLS, interceptors, servicers, health, reflection, drain."""

import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from broker.server.grpc.guard import LARGEST_REQUEST, RpcGuard
from broker.server.grpc.leaving import keep_quiet_about_leaving
from broker.server.grpc.services.registration import Servicers
from broker.server.health import SERVICES, Health
from broker.server.http.server import CannotListen

MINUTE_MS = 60_000
OPTIONS = [
    # Clients re-resolve when their connection ends, so that new replicas get their share.
    ("grpc.max_connection_age_ms", 15 * MINUTE_MS),
    ("grpc.max_connection_age_grace_ms", MINUTE_MS),
    # The guard refuses requests above its own, lower limit by field.
    ("grpc.max_receive_message_length", 2 * LARGEST_REQUEST),
    # Detect watchers whose machine died.
    ("grpc.keepalive_time_ms", 2 * MINUTE_MS),
    ("grpc.keepalive_timeout_ms", MINUTE_MS // 3),
    ("grpc.keepalive_permit_without_calls", 1),
    # Go's clients may ping every ten seconds, and a ping may arrive a little early or late.
    ("grpc.http2.min_ping_interval_without_data_ms", MINUTE_MS // 12),
]


class TlsFiles:
    """Paths of the PEM files that identify this server and its callers."""

    def __init__(self, certificate: str, private_key: str, client_ca: str | None) -> None:
        self._certificate = certificate
        self._private_key = private_key
        self._client_ca = client_ca

    def credentials(self) -> grpc.ServerCredentials:
        """Read the files. Raises `CannotListen`, `OSError`.

        With a client CA every client must present a certificate of it, even one with a bearer token: gRPC
        for Python can require certificates or not ask for them, and nothing in between.
        """
        try:
            # gRPC does not report what is wrong with a key pair: it only fails to bind.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._private_key)
        except ssl.SSLError as error:
            problem = error.reason or "it cannot be read"
            raise CannotListen(f"server.tls: certificate and private_key are no pair: {problem}") from None
        pair = (Path(self._private_key).read_bytes(), Path(self._certificate).read_bytes())
        if self._client_ca is None:
            return grpc.ssl_server_credentials([pair])
        authority = Path(self._client_ca).read_bytes()
        return grpc.ssl_server_credentials([pair], authority, require_client_auth=True)


@asynccontextmanager
async def serve_grpc(
    addresses: Sequence[str],
    guard: RpcGuard,
    servicers: Servicers,
    health: Health,
    *,
    tls: TlsFiles | None,
    reflect: bool,
    share_port: bool,
    drain_seconds: float,
) -> AsyncIterator[list[str]]:
    """Serve until the context exits, then drain; yield addresses with real ports. Raises `CannotListen`."""
    keep_quiet_about_leaving()
    # Without this a second server would bind the same port silently (grpc's default on Linux).
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 1 if share_port else 0)])
    servicers.register(guard.before(server))
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    if reflect:
        names = [
            *SERVICES,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        ]
        reflection.enable_server_reflection(names, server)
    bound = []
    for position, address in enumerate(addresses):
        try:
            bound.append(_listen(server, address, tls))
        except CannotListen as error:
            await server.stop(None)
            raise CannotListen(f"server.grpc[{position}]: {error}") from None
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(drain_seconds)
        for address in addresses:
            if address.startswith("unix://"):
                with suppress(FileNotFoundError):
                    Path(address.removeprefix("unix://")).unlink()


def _listen(server: grpc.aio.Server, address: str, tls: TlsFiles | None) -> str:
    if address.startswith("unix://"):
        _refuse_used_socket(address)
    try:
        # The rights of its folder protect a socket file; TLS is for network connections.
        if tls is None or address.startswith("unix://"):
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, tls.credentials())
    except (RuntimeError, OSError) as error:
        raise CannotListen(f"cannot listen on {address}: {_said(error)}") from None
    return address if address.startswith("unix://") else f"{address.rpartition(':')[0]}:{port}"


def _refuse_used_socket(address: str) -> None:
    """Refuse a socket file in use: gRPC would take it over even from a running server."""
    path = address.removeprefix("unix://")
    if not Path(path).parent.is_dir():
        raise CannotListen(f"cannot listen on {address}: its folder does not exist")
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(path)
        raise CannotListen(f"cannot listen on {address}: the socket is in use")


def _said(error: Exception) -> str:
    return (
        "the port is in use, or the address is not this machine's"
        if isinstance(error, RuntimeError)
        else str(error)
    )
