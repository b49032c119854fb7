"""The gRPC servers: listeners, servicers, health, reflection, drain."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from broker.server.grpc.door import ChooseMethod, Door, Registrar
from broker.server.grpc.guard import LARGEST_REQUEST
from broker.server.grpc.leaving import keep_quiet_about_leaving
from broker.server.grpc.listening import socket_file
from broker.server.grpc.listening.listener import Listener
from broker.server.grpc.listening.tls import ServerTls
from broker.server.grpc.listening.user_socket import relay_user
from broker.server.grpc.services.registration import Servicers
from broker.server.health import SERVICES, Health
from broker.server.http.server import CannotListen
from broker.server.open_files import share_of_files

MINUTE_MS = 60_000
MOST_CONNECTIONS = 16_384
"""To one listener. gRPC closes further ones at once, and those that it has go on."""
SHARE_OF_FILES = 2
"""gRPC takes at most half of the files that this process may open."""
MOST_PENDING = 10_000
SLACK = 64 * 1024
UNREAD_BYTES = 16 * 1024
"""What a stream may send before its call is read; a larger message has room as soon as it is."""
OPTIONS = [
    # Who connects and says nothing is cut off when a client of gRPC would give up, too; else after 2 minutes.
    ("grpc.server_handshake_timeout_ms", MINUTE_MS // 3),
    # Clients re-resolve when their connection ends, so that new replicas get their share.
    ("grpc.max_connection_age_ms", 15 * MINUTE_MS),
    ("grpc.max_connection_age_grace_ms", MINUTE_MS),
    # Windows stay small where nobody reads: gRPC would let them grow to megabytes for each stranger's stream.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", UNREAD_BYTES),
    # Calls that Python has not begun yet. gRPC cancels any above 1,000, also those of who waits patiently.
    ("grpc.server.max_pending_requests", MOST_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", MOST_PENDING),
    # The guard refuses requests above its own, lower limit by field.
    ("grpc.max_receive_message_length", LARGEST_REQUEST + SLACK),
    # Detect watchers whose machine died.
    ("grpc.keepalive_time_ms", 2 * MINUTE_MS),
    ("grpc.keepalive_timeout_ms", MINUTE_MS // 3),
    ("grpc.keepalive_permit_without_calls", 1),
    # Go's clients may ping every ten seconds, and a ping may arrive a little early or late.
    ("grpc.http2.min_ping_interval_without_data_ms", MINUTE_MS // 12),
]


@asynccontextmanager
async def serve_grpc(
    listeners: Sequence[Listener],
    choose_for: Callable[[str, bool], ChooseMethod],
    servicers: Servicers,
    health: Health,
    *,
    tls: ServerTls | None,
    on_stranger: Callable[[str, int], None],
    reflect: bool,
    share_port: bool,
    most_streams: int,
    drain_seconds: float,
) -> AsyncIterator[list[str]]:
    """Serve until the context exits, then drain; yield addresses with real ports. Raises `CannotListen`.

    gRPC for Python does not show on which listener a call came: where everybody is a configured caller,
    there is a server of its own. `choose_for` returns how calls of that caller, or of "" where callers prove
    it, are handled; it is told whether all of them need a certificate to connect.
    """
    keep_quiet_about_leaving()
    options = [
        *OPTIONS,
        # Without this a second server would bind the same port silently (grpc's default on Linux).
        ("grpc.so_reuseport", 1 if share_port else 0),
        # A client's further calls wait in the client, without a word: what one connection costs is bounded.
        ("grpc.max_concurrent_streams", most_streams),
        (
            "grpc.max_allowed_incoming_connections",
            max(1, share_of_files(MOST_CONNECTIONS, SHARE_OF_FILES) // len(listeners)),
        ),
    ]
    servers: dict[str, grpc.aio.Server] = {}
    for caller in dict.fromkeys(listener.caller for listener in listeners):
        server = servers[caller] = grpc.aio.server(options=options)
        all_have_certificates = all(each.demands_certificate for each in listeners if each.caller == caller)
        door = Door()
        servicers.register(Registrar(door, choose_for(caller, all_have_certificates)))
        _add_standard_services(Registrar(door), health, reflect=reflect)
        server.add_generic_rpc_handlers((door,))
    async with AsyncExitStack() as stack:
        bound = []
        for position, listener in enumerate(listeners):
            server = servers[listener.caller]
            try:
                bound.append(await _listen(stack, server, listener, tls, on_stranger))
            except CannotListen as error:
                for each in servers.values():
                    await each.stop(None)
                raise CannotListen(f"server.grpc[{position}]: {error}") from None
        for server in servers.values():
            await server.start()
        try:
            yield bound
        finally:
            await asyncio.gather(*(server.stop(drain_seconds) for server in servers.values()))


def _add_standard_services(registrar: Registrar, health: Health, *, reflect: bool) -> None:
    server: Any = registrar
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    if reflect:
        names = [
            *SERVICES,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        ]
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer(names), server
        )


async def _listen(
    stack: AsyncExitStack,
    server: grpc.aio.Server,
    listener: Listener,
    tls: ServerTls | None,
    on_stranger: Callable[[str, int], None],
) -> str:
    """Listen until the stack closes; return the address with the real port. Raises `CannotListen`."""
    if listener.uid is not None:
        socket_file.require_unused(listener.path)
        # gRPC's own socket: nobody but this user and root enters a temporary folder (0700).
        inner = Path(stack.enter_context(TemporaryDirectory(prefix="wecom-broker-"))) / "grpc.sock"
        _bind_socket(server, Listener(f"unix://{inner}"))
        await stack.enter_async_context(relay_user(listener, str(inner), on_stranger))
        return listener.address
    if listener.is_socket:
        socket_file.require_unused(listener.path)
        _bind_socket(server, listener)
        stack.callback(socket_file.remove, listener.path)
        return listener.address
    try:
        # The rights of its folder protect a socket file; TLS is for network connections.
        if tls is None:
            port = server.add_insecure_port(listener.address)
        else:
            port = server.add_secure_port(
                listener.address, tls.credentials(demand=listener.demands_certificate)
            )
    except RuntimeError:
        problem = "the port is in use, or the address is not this machine's"
        raise CannotListen(f"cannot listen on {listener.address}: {problem}") from None
    return f"{listener.address.rpartition(':')[0]}:{port}"


def _bind_socket(server: grpc.aio.Server, listener: Listener) -> None:
    try:
        with socket_file.made_with(listener.path, listener.mode):
            server.add_insecure_port(listener.address)
    except (RuntimeError, OSError) as error:
        problem = "gRPC cannot make the socket file" if isinstance(error, RuntimeError) else str(error)
        raise CannotListen(f"cannot listen on {listener.address}: {problem}") from None
