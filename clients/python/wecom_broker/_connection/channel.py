"""The gRPC channel: its address, TLS, retries and keepalive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio

from wecom_broker._connection.interceptors.bearer import bearer
from wecom_broker._connection.renewal import RenewingChannel
from wecom_broker._connection.retries import SERVICE_CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wecom_broker._connection.tls import Tls

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", SERVICE_CONFIG),
    # While a call is open, a dead peer is detected within 70 s. The broker accepts a ping every ten seconds,
    # with or without a call; without one, nobody waits for the peer.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A watch may be silent for two hours; by default gRPC stops pinging after two pings without data.
    ("grpc.http2.max_pings_without_data", 0),
    # With gRPC's default of 120 s, a client may reconnect only two minutes after the broker is back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]

# A proxy in the environment is meant for the web. Without TLS it could read every token.
_NO_PROXY: list[tuple[str, Any]] = [
    # grpc_proxy, https_proxy, http_proxy
    ("grpc.enable_http_proxy", 0),
    # GRPC_ADDRESS_HTTP_PROXY ignores the switch above: enable it for no address.
    ("grpc.address_http_proxy_enabled_addresses", ""),
]


def open_channel(
    target: str,
    *,
    tls: Tls | None,
    token: str | Callable[[], str] | None,
    trust_env: bool,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """Open a channel. It connects when it is first used, and reconnects when needed."""
    interceptors = [*interceptors, *([] if token is None else bearer(token))]
    options = list(_OPTIONS) if trust_env else _OPTIONS + _NO_PROXY
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))

    def open_secure() -> grpc.aio.Channel:
        return grpc.aio.secure_channel(target, tls.credentials(), options=options, interceptors=interceptors)

    return RenewingChannel(open_secure, tls) if tls.has_files else open_secure()
