"""Servers of the benchmarks, each in its own process: the broker, and an empty handler to compare it with."""

import asyncio
import logging
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import uvloop
from wecom_broker.v1 import js_sdk_service_pb2 as js_pb
from wecom_broker.v1 import js_sdk_service_pb2_grpc as js_pb_grpc
from wecom_broker.v1 import target_pb2
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc

from broker.cli.demo.playground import APP
from broker.config.load import parse_config
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.telemetry.logging import set_up_logging

if TYPE_CHECKING:
    from broker.app.running_broker import RunningBroker

CHILD = "ww1child000000001"
METHOD = "/wecom_broker.v1.TokenService/GetAccessToken"
SIGN_METHOD = "/wecom_broker.v1.JsSdkService/SignPage"
PAGE = "https://crm.example.com/orders/4711?tab=payments#/details"
REQUEST = pb.GetAccessTokenRequest(target=target_pb2.Target(app=APP, corp_id=CHILD))
SIGN_REQUEST = js_pb.SignPageRequest(target=REQUEST.target, url=PAGE)
BEARER = "token-of-the-bench"
SEAL_KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtISE="
IDENTITY = "spiffe://example.org/bench"


class EmptyServicer(pb_grpc.TokenServiceServicer):
    """Answer every call with the same message."""

    def __init__(self) -> None:
        token = pb.AccessToken(
            value="x" * 214,
            expire_time=datetime.now(UTC) + timedelta(hours=2),
            corp_id=CHILD,
            agent_id=1000010,
            generation=1795377352661,
        )
        self._response = pb.GetAccessTokenResponse(token=token)

    async def GetAccessToken(
        self, request: pb.GetAccessTokenRequest, context: object
    ) -> pb.GetAccessTokenResponse:
        """Return the message."""
        return self._response


class EmptySigner(js_pb_grpc.JsSdkServiceServicer):
    """Answer every call with the same signatures."""

    def __init__(self) -> None:
        what = {"corp_id": CHILD, "timestamp": 1795377352, "nonce_str": "a" * 32, "signature": "b" * 40}
        self._response = js_pb.SignPageResponse(
            config=js_pb.ConfigSignature(**what, generation=1795377352661),
            agent_config=js_pb.AgentConfigSignature(**what, agent_id=1000010, generation=1795377352661),
        )

    async def SignPage(self, request: js_pb.SignPageRequest, context: object) -> js_pb.SignPageResponse:
        """Return the message."""
        return self._response


async def serve_empty(pipe: Connection) -> None:
    """Serve the empty handler."""
    await _serve_empty(pipe, None)


async def serve_empty_by_certificate(pipe: Connection, tls: dict[str, str]) -> None:
    """Serve the empty handler to clients with a certificate."""
    pair = Path(tls["private_key"]).read_bytes(), Path(tls["certificate"]).read_bytes()
    authority = Path(tls["client_ca"]).read_bytes()
    await _serve_empty(pipe, grpc.ssl_server_credentials([pair], authority, require_client_auth=True))


async def _serve_empty(pipe: Connection, credentials: grpc.ServerCredentials | None) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_TokenServiceServicer_to_server(EmptyServicer(), server)
    js_pb_grpc.add_JsSdkServiceServicer_to_server(EmptySigner(), server)
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pipe.send(f"127.0.0.1:{port}")
    await asyncio.Event().wait()


async def serve_broker(pipe: Connection) -> None:
    """Serve a broker that anyone on this machine may call."""
    await _serve_broker(pipe, [])


async def serve_broker_with_callers(pipe: Connection) -> None:
    """Serve a broker with twenty callers, identified by bearer tokens."""
    import hashlib  # noqa: PLC0415 - in the child only

    digests = [hashlib.sha256(f"{BEARER}{number or ''}".encode()).hexdigest() for number in range(20)]
    allow = [{"apps": [APP], "corps": ["*"], "actions": ["token.get"]}]
    callers = [
        {
            "name": f"caller-{number}",
            "token_sha256": digest,
            "allow": allow,
            "limits": {"calls_per_minute": 10**9},
        }
        for number, digest in enumerate(digests)
    ]
    await _serve_broker(pipe, callers)


async def serve_broker_by_certificate(pipe: Connection, tls: dict[str, str]) -> None:
    """Serve a broker with twenty callers by SPIFFE id, with policy, limits and an audit file."""
    allow = [{"apps": [APP], "corps": ["*"], "actions": ["token.get"]}]
    callers = [
        {
            "name": f"caller-{number}",
            "identity": f"{IDENTITY}{number or ''}",
            "allow": allow,
            "limits": {"calls_per_minute": 10**9},
        }
        for number in range(20)
    ]
    with tempfile.TemporaryDirectory() as folder:
        await _serve_broker(pipe, callers, server={"tls": tls}, audit={"file": f"{folder}/audit.jsonl"})


async def serve_broker_with_callbacks(pipe: Connection, store: str = "") -> None:
    """Serve a broker that takes callbacks and writes them to that store; send its HTTP address."""
    callback = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
    tables = {"store": {"url": store, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}} if store else {}
    await _serve_broker(
        pipe, [], lambda running: f"127.0.0.1:{running.http_port}", app={"callback": callback}, **tables
    )


async def _serve_broker(
    pipe: Connection,
    callers: list[dict[str, Any]],
    address: Callable[["RunningBroker"], str] = lambda running: running.grpc_addresses[0],
    *,
    server: dict[str, Any] | None = None,
    app: dict[str, Any] | None = None,
    **tables: object,
) -> None:
    from broker.app.running_broker import running_broker  # noqa: PLC0415 - in the child only
    from broker.cli.serving.garbage import spare_what_stays  # noqa: PLC0415

    set_up_logging("info", "json")
    logging.getLogger().handlers[0].setStream(open(os.devnull, "w"))  # type: ignore[attr-defined] # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        async with running_simulator(demo_world()) as url:
            own = {"name": APP, "corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": SECRET}
            config = parse_config(
                {
                    "server": {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", **(server or {})},
                    "store": {"url": f"sqlite:///{folder}/bench.db"},
                    "wecom": {"api_base": url},
                    "apps": [{**own, **(app or {})}],
                    "callers": callers,
                    **tables,
                }
            )
            # As `serve` does.
            async with running_broker(config, about_to_listen=spare_what_stays) as running:
                pipe.send(address(running))
                await asyncio.Event().wait()


@contextmanager
def in_process(serve: Callable[[Connection], Any], cpu: int) -> Iterator[tuple[str, int]]:
    """Serve in a process pinned to that processor; yield its address and process id."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_child, args=(serve, theirs, cpu), daemon=True
    )
    process.start()
    try:
        assert process.pid
        yield ours.recv(), process.pid
    finally:
        process.kill()
        process.join()


def _child(serve: Callable[[Connection], Any], pipe: Connection, cpu: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    uvloop.run(serve(pipe))
