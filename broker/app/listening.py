"""The listeners of a broker: gRPC, HTTP and the console, with their TLS."""

import ssl
from collections import ChainMap
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from broker.app.errors import CannotStart
from broker.app.reloading.settings import LiveSettings
from broker.app.services import Services
from broker.app.tracing.composed import Tracing
from broker.config.listening.most_streams import most_streams
from broker.config.listening.tables import TlsTable
from broker.config.schema import Config
from broker.domain.ports.clock import Clock
from broker.server.grpc.door import ChooseMethod
from broker.server.grpc.guard import RpcGuard
from broker.server.grpc.listening.listener import Listener
from broker.server.grpc.listening.tls import ServerTls, TlsFiles
from broker.server.grpc.server import serve_grpc
from broker.server.health import Health
from broker.server.http.console.console import Console
from broker.server.http.console.server import serve_console
from broker.server.http.console.tls import ConsoleTls
from broker.server.http.forwarded import Forwarded
from broker.server.http.server import CannotListen, serve_http
from broker.telemetry.observer import Telemetry


@dataclass(frozen=True, slots=True)
class ListenersTls:
    """What identifies the listeners that have TLS."""

    server: ServerTls | None
    console: ServerTls | None

    @classmethod
    def of(cls, config: Config, clock: Clock, telemetry: Telemetry) -> "ListenersTls":
        """Read the files that are configured, and have operators see when they end. Raises `CannotStart`."""
        found = cls(
            _tls("server.tls", config.server.tls, clock, telemetry),
            _tls("console.tls", config.console.tls, clock, telemetry),
        )
        telemetry.replica_health.certificates = ChainMap(*(tls.ends for tls in found.all()))
        return found

    def all(self) -> list[ServerTls]:
        """Return those that are configured."""
        return [tls for tls in (self.server, self.console) if tls]

    def read_again(self) -> None:
        """Take what all files have now, for new connections. Raises `CannotListen` and changes nothing."""
        for take in [tls.newer() for tls in self.all()]:
            take()


def _tls(key: str, table: TlsTable | None, clock: Clock, telemetry: Telemetry) -> ServerTls | None:
    if table is None:
        return None
    try:
        files = TlsFiles(table.certificate, table.private_key, table.client_ca, key)
        return ServerTls(files, clock, telemetry.metrics)
    except CannotListen as error:
        raise CannotStart(str(error)) from None


async def open_grpc(
    stack: AsyncExitStack,
    config: Config,
    choose_for: Callable[[str, bool], ChooseMethod],
    services: Services,
    health: Health,
    telemetry: Telemetry,
    *,
    tls: ServerTls | None,
    about_to_listen: Callable[[], None],
) -> list[str]:
    """Serve gRPC until the stack closes; return the addresses. Raises `CannotStart`."""
    server = config.server
    about_to_listen()
    try:
        return await stack.enter_async_context(
            serve_grpc(
                _listeners(config),
                choose_for,
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


async def open_http(
    stack: AsyncExitStack,
    config: Config,
    tracing: Tracing,
    services: Services,
    health: Health,
    telemetry: Telemetry,
) -> int:
    """Serve HTTP until the stack closes; return the port. Raises `CannotStart`."""
    server = config.server
    try:
        return await stack.enter_async_context(
            serve_http(
                server.http,
                health,
                telemetry.metrics,
                tracing.callbacks(services.inbox, Forwarded(server.trusted_proxies), telemetry),
                share_port=server.workers > 1,
                drain_seconds=server.drain_seconds,
            )
        )
    except CannotListen as error:
        raise CannotStart(f"server.http: {error}") from None


async def open_console(
    stack: AsyncExitStack,
    config: Config,
    guard_for: Callable[[str, bool], RpcGuard],
    services: Services,
    settings: LiveSettings,
    tls: ServerTls | None,
) -> int | None:
    """Serve the console until the stack closes; return the port, None if it is off. Raises `CannotStart`."""
    table, server = config.console, config.server
    if table.listen is None:
        return None
    console = Console(
        guard_for("", False), services.servicers.admin, services.overview, settings.policy, settings.subjects
    )
    demand = bool(table.tls and table.tls.client_ca_required)
    try:
        return await stack.enter_async_context(
            serve_console(
                table.listen,
                console,
                ConsoleTls(tls, demand=demand) if tls else None,
                share_port=server.workers > 1,
                drain_seconds=server.drain_seconds,
            )
        )
    except CannotListen as error:
        raise CannotStart(f"console.listen: {error}") from None
    except ssl.SSLError as error:
        raise CannotStart(f"console.tls: cannot be used: {error.reason}") from None


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
