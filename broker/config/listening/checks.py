"""The mistakes of listeners, and of callers that cannot prove themselves on any."""

import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from broker.config.checking.wording import did_you_mean
from broker.config.listening.tables import ListenerTable, TlsTable
from broker.config.schema import Config


def listener_mistakes(config: Config, broken: AbstractSet[int | str]) -> Iterator[str]:
    """Yield a line for each, the key first; `broken` names tables that have mistakes of their own."""
    if "callers" not in broken:
        yield from _without_proof(config)
    if "console" not in broken:
        yield from _of_console(config)
    if "server" in broken:
        return
    server = config.server
    names = {caller.name for caller in config.callers}
    for position, listener in enumerate(server.listeners):
        key = f"server.grpc[{position}]"
        if listener.is_socket:
            yield from _of_socket(key, listener)
        else:
            yield from _of_port(key, listener)
        if listener.caller and listener.caller not in names and "callers" not in broken:
            guess = did_you_mean(listener.caller, names)
            yield f"{key}.caller: no caller {listener.caller!r} is in [[callers]]{guess}"
        if listener.client_certificate and not (server.tls and server.tls.client_ca):
            yield f"{key}.client_certificate: needs server.tls.client_ca"
    yield from _of_tls("server.tls", server.tls)


def _of_console(config: Config) -> Iterator[str]:
    console = config.console
    if console.tls and not console.listen:
        yield "console.tls: needs console.listen"
    if console.tls and console.listen and console.listen.startswith("unix:"):
        yield "console.tls: a socket file has no TLS; leave it out"
    yield from _of_tls("console.tls", console.tls)


def _of_tls(key: str, tls: TlsTable | None) -> Iterator[str]:
    if tls and "client_ca_required" in tls.model_fields_set and not tls.client_ca:
        yield f"{key}.client_ca_required: needs {key}.client_ca"


def _of_socket(key: str, listener: ListenerTable) -> Iterator[str]:
    if listener.uid is not None and sys.platform != "linux":
        yield f"{key}.uid: only Linux tells which user connects; leave it out, and set mode"
    if listener.client_certificate is not None:
        yield f"{key}.client_certificate: a socket file has no TLS; set caller, mode or uid"


def _of_port(key: str, listener: ListenerTable) -> Iterator[str]:
    for name in ("mode", "caller", "uid"):
        if getattr(listener, name) is not None:
            yield f"{key}.{name}: is for socket files (unix:///path) alone"


def _without_proof(config: Config) -> Iterator[str]:
    by_socket = {listener.caller for listener in config.server.listeners}
    for position, caller in enumerate(config.callers):
        if caller.identity is None and caller.token_sha256 is None and caller.name not in by_socket:
            yield f"callers[{position}]: needs either identity or token_sha256, or a socket file of its own"


def tls_tables(config: Config) -> Iterator[tuple[str, TlsTable]]:
    """Yield the TLS of each listener that has its own, with its key."""
    for name, table in (("server", config.server), ("console", config.console)):
        if table.tls:
            yield f"{name}.tls", table.tls


def unprovable_identities(config: Config) -> Iterator[str]:
    """Yield the callers whose certificate no listener asks for."""
    server = config.server
    if server.tls is None or server.tls.client_ca is None or _asked_by_console(config):
        return
    if any(listener.demands_certificate(server.tls) for listener in server.listeners):
        return
    for position, caller in enumerate(config.callers):
        if caller.identity:
            yield (
                f"callers[{position}].identity: {caller.name} cannot prove it, for no listener asks for"
                " client certificates (gRPC for Python demands them or does not ask): give it a token_sha256,"
                " or a listener with client_certificate = true"
            )


def _asked_by_console(config: Config) -> bool:
    return config.console.tls is not None and config.console.tls.client_ca is not None
