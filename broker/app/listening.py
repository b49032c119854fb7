"""The listeners of a broker: gRPC with its TLS, and HTTP."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from broker.app.errors import CannotStart
from broker.app.services import Services
from broker.config.schema import Config
from broker.domain.ports.clock import Clock
from broker.server.grpc.guard import RpcGuard
from broker.server.grpc.listening.listener import Listener
from broker.server.grpc.listening.tls import ServerTls, TlsFiles
from broker.server.grpc.server import serve_grpc
from broker.server.health import Health
from broker.server.http.callbacks import CallbackEndpoint
from broker.server.http.forwarded import Forwarded
from broker.server.http.server import CannotListen, serve_http
from broker.telemetry.observer import Telemetry

MOST_STREAMS = 20_000
"""How many calls one connection may carry where no callers are configured: this machine's own."""
SPARE = 1_000
"""For what is refused at once, and for health checks."""


def server_tls(config: Config, clock: Clock, telemetry: Telemetry) -> ServerTls | None:
    """Return what identifies this server, if that is configured. Raises `CannotStart`."""
    if (table := config.server.tls) is None:
        return None
    try:
        files = TlsFiles(table.certificate, table.private_key, table.client_ca)
        return ServerTls(files, clock, telemetry.metrics)
    except CannotListen as error:
        raise CannotStart(str(error)) from None


async def open_grpc(
    stack: AsyncExitStack,
    config: Config,
    guard_for: Callable[[str, bool], RpcGuard],
    services: Services,
    health: Health,
    telemetry: Telemetry,
    *,
    tls: ServerTls | None,
) -> list[str]:
    """Serve gRPC until the stack closes; return the addresses. Raises `CannotStart`."""
    server = config.server
    try:
        return await stack.enter_async_context(
            serve_grpc(
                _listeners(config),
                guard_for,
                services.servicers,
                health,
                tls=tls,
                on_stranger=telemetry.stranger_connected,
                reflect=server.reflection,
                share_port=server.workers > 1,
                most_streams=most_streams(config),
                drain_seconds=server.drain_seconds,
            )
        )
    except CannotListen as error:
        raise CannotStart(str(error)) from None


def most_streams(config: Config) -> int:
    """Return how many calls one connection may carry: more than any caller's limits allow it.

    So a caller that asks for too much is told, before its further calls wait in its client.
    """
    limits = [caller.limits for caller in config.callers]
    return max((each.calls_at_once + each.streams + SPARE for each in limits), default=MOST_STREAMS)


async def open_http(
    stack: AsyncExitStack, config: Config, services: Services, health: Health, telemetry: Telemetry
) -> int:
    """Serve HTTP until the stack closes; return the port. Raises `CannotStart`."""
    server = config.server
    try:
        return await stack.enter_async_context(
            serve_http(
                server.http,
                health,
                telemetry.metrics,
                CallbackEndpoint(services.inbox, Forwarded(server.trusted_proxies), telemetry),
                share_port=server.workers > 1,
                drain_seconds=server.drain_seconds,
            )
        )
    except CannotListen as error:
        raise CannotStart(f"server.http: {error}") from None


def _listeners(config: Config) -> list[Listener]:
    return [
        Listener(
            listener.address,
            listener.demands_certificate(config.server.tls),
            int(listener.mode, 8) if listener.mode else None,
            listener.caller or "",
            listener.uid,
        )
        for listener in config.server.listeners
    ]
