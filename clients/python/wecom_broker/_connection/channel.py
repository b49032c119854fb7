"""The connection to the broker: addresses, TLS, retries, keepalive."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from wecom_broker._connection.bearer import bearer

if TYPE_CHECKING:
    from collections.abc import Callable

# What may be sent twice. Reports are among them because the broker compares the generation first.
#
# What is not here is handed to the broker's code once at most: calls that consume a code (ExchangeAuthCode,
# ExchangeLoginCode) or may (GetUserProfile), that make or end something (ConvertSession, DeleteSession), that
# tell how many they changed (RetryDeadEvents), or do what only WeCom knows (CallApi, UploadMedia). gRPC
# itself still repeats a call, "transparently", but only one that never left this machine, or, once, one that
# a leaving server's GOAWAY says it never took: no code of the broker has seen it. A connection that breaks
# after a call was sent is an error (all this is tested). So codes are safe without `grpc.enable_retries=0`,
# which would end the retries of the whole channel.
_IDEMPOTENT = {
    "wecom_broker.v1.TokenService": ("GetAccessToken", "WatchAccessToken", "ReportInvalidToken"),
    "wecom_broker.v1.AppShareService": ("ListAppShares", "WatchAppShares"),
    "wecom_broker.v1.JsSdkService": ("SignPage", "SignConfig", "SignAgentConfig", "ReportInvalidTicket"),
    "wecom_broker.v1.IdentityService": ("BuildAuthorizeUrl",),
    "wecom_broker.v1.MiniProgramService": ("DecryptData", "VerifySignature", "GetSessionKey"),
    "wecom_broker.v1.WecomApiService": ("DownloadMedia",),
    "wecom_broker.v1.EventService": ("SubscribeEvents", "AcknowledgeEvents", "ListDeadEvents"),
    "wecom_broker.v1.CallbackService": ("VerifyUrl", "OpenEnvelope", "SealReply"),
}

_RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    # CANCELLED is what a broker that has just begun to stop answers to a call that was on its way.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in _IDEMPOTENT.items()
                for method in methods
            ],
            "retryPolicy": _RETRY_POLICY,
        },
    ],
}

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A dead peer is noticed within 70 s. The broker takes a ping each 30 s, but none without a call.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A watch may be silent for two hours; by default gRPC stops pinging after two pings without data.
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC's own limit of 120 s would keep a client off for two minutes after the broker is back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


@dataclass(frozen=True)
class Tls:
    """How to know the broker, and how to be known by it.

    Each part is PEM, as bytes or as the path of a file; files are read when the channel is opened.
    `ca` defaults to gRPC's own roots; `certificate` and `private_key` are for mutual TLS and go together;
    `server_name` is the name to expect in the broker's certificate when it is not the target's.
    """

    ca: bytes | str | Path | None = None
    certificate: bytes | str | Path | None = None
    private_key: bytes | str | Path | None = field(default=None, repr=False)
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Refuse half a pair."""
        if (self.certificate is None) != (self.private_key is None):
            message = "certificate and private_key go together"
            raise ValueError(message)

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises OSError."""
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.private_key), _pem(self.certificate))


def open_channel(target: str, tls: Tls | None, token: str | Callable[[], str] | None) -> grpc.aio.Channel:
    """Open a channel. It connects when it is first used, and again whenever it must."""
    interceptors = [] if token is None else bearer(token)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS, interceptors=interceptors)
    options = list(_OPTIONS)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return grpc.aio.secure_channel(target, tls.credentials(), options=options, interceptors=interceptors)


def _pem(source: bytes | str | Path | None) -> bytes | None:
    return source if source is None or isinstance(source, bytes) else Path(source).read_bytes()
