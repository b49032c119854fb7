"""A broker that does what a test tells it, behind a real gRPC server."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from wecom_broker.v1 import app_share_service_pb2 as shares_pb2
from wecom_broker.v1 import token_service_pb2 as tokens_pb2
from wecom_broker.v1.app_share_service_pb2_grpc import (
    AppShareServiceServicer,
    add_AppShareServiceServicer_to_server,
)
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceServicer, add_TokenServiceServicer_to_server

from tests.client.fake_events import FakeEvents
from tests.client.fake_services import FakeServices
from tests.kit.processes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from wecom_broker.v1.target_pb2 import Target

PATIENCE = 10
Context = grpc.aio.ServicerContext


@dataclass(frozen=True)
class Refusal:
    """A status that a call ends with; without a reason there is no ErrorInfo."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "because the test says so"
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None
    domain: str = "wecom-broker"

    async def abort(self, context: Context) -> None:
        if not self.reason:
            await context.abort(self.code, self.message)
        info = error_details_pb2.ErrorInfo(domain=self.domain, reason=self.reason, metadata=self.metadata)
        details = [_packed(info)]
        if self.retry_after is not None:
            delay = duration_pb2.Duration()
            delay.FromTimedelta(self.retry_after)
            details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        status = status_pb2.Status(
            code=code_pb2.Code.Value(self.code.name), message=self.message, details=details
        )
        await context.abort_with_status(rpc_status.to_status(status))


BROKEN = Refusal(grpc.StatusCode.UNAVAILABLE)


class FakeBroker(TokenServiceServicer, AppShareServiceServicer, FakeServices, FakeEvents):
    """Serves generation 1 of any token, until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.refusals: dict[str, Refusal] = {}
        self.lifetime = timedelta(hours=2)
        self.clock_ahead = timedelta(0)
        self.says_ttl = True
        self.shares: list[shares_pb2.AppShare] = []
        self.share_changes: list[shares_pb2.WatchAppSharesResponse] = []
        self.watches_shares_on = False
        """Whether a watch of shares goes on when it has told these changes."""
        self.requests: list[object] = []
        self.authorizations: set[str | None] = set()
        self.address = f"127.0.0.1:{free_port()}"
        self.agent_id = 1000002
        """Of every app."""
        self.server_credentials: grpc.ServerCredentials | None = None
        self._generations: Counter[tuple[str, str]] = Counter()
        self._streams: dict[asyncio.Queue[tokens_pb2.AccessToken | Refusal], tuple[str, str]] = {}
        self._answering = asyncio.Event()
        self._answering.set()
        self._changed = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop at the same address."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
            ]
        )
        add_TokenServiceServicer_to_server(self, self._server)
        add_AppShareServiceServicer_to_server(self, self._server)
        self.add_services_to(self._server)
        self.add_events_to(self._server)
        if self.server_credentials is None:
            self._server.add_insecure_port(self.address)
        else:
            self._server.add_secure_port(self.address, self.server_credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Vanish, breaking every stream."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until a fact about this broker is true."""
        async with asyncio.timeout(PATIENCE):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        """Have everyone who waits for a fact look again."""
        self._changed.set()

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def hold(self) -> None:
        """Keep every answer back until `release`."""
        self._answering.clear()

    def release(self) -> None:
        self._answering.set()

    @property
    def ttl(self) -> timedelta | None:
        return self.lifetime if self.says_ttl else None

    def token(self, app: str, corp: str = "") -> tokens_pb2.AccessToken:
        generation = self._generations[app, corp] or 1
        return tokens_pb2.AccessToken(
            value=f"secret-{app}-{corp}-{generation}",
            expire_time=datetime.now(UTC) + self.clock_ahead + self.lifetime,
            corp_id=corp or "ww-own",
            agent_id=self.agent_id,
            generation=generation,
        )

    def rotate(self, app: str, corp: str = "", *, generation: int | None = None) -> None:
        """Make the next generation, or the one that is told, and push it."""
        key = (app, corp)
        self._generations[key] = generation or (self._generations[key] or 1) + 1
        for queue, of in self._streams.items():
            if of == key:
                queue.put_nowait(self.token(app, corp))

    def end_streams(self, refusal: Refusal = BROKEN) -> None:
        """End every stream with this status."""
        for queue in self._streams:
            queue.put_nowait(refusal)

    async def GetAccessToken(
        self, request: tokens_pb2.GetAccessTokenRequest, context: Context
    ) -> tokens_pb2.GetAccessTokenResponse:
        await self.enter("GetAccessToken", request, context)
        return tokens_pb2.GetAccessTokenResponse(token=self.token(*_key(request.target)), ttl=self.ttl)

    async def WatchAccessToken(
        self, request: tokens_pb2.WatchAccessTokenRequest, context: Context
    ) -> AsyncIterator[tokens_pb2.WatchAccessTokenResponse]:
        queue: asyncio.Queue[tokens_pb2.AccessToken | Refusal] = asyncio.Queue()
        key = _key(request.target)
        self._streams[queue] = key
        try:
            await self.enter("WatchAccessToken", request, context)
            yield tokens_pb2.WatchAccessTokenResponse(token=self.token(*key), ttl=self.ttl)
            while True:
                item = await queue.get()
                if isinstance(item, Refusal):
                    await item.abort(context)
                else:
                    yield tokens_pb2.WatchAccessTokenResponse(token=item, ttl=self.ttl)
        finally:
            del self._streams[queue]
            self.changed()

    async def ReportInvalidToken(
        self, request: tokens_pb2.ReportInvalidTokenRequest, context: Context
    ) -> tokens_pb2.ReportInvalidTokenResponse:
        await self.enter("ReportInvalidToken", request, context)
        app, corp = _key(request.target)
        outcome = tokens_pb2.REPORT_OUTCOME_ALREADY_ROTATED
        if request.generation == self.token(app, corp).generation:
            self._generations[app, corp] = request.generation + 1
            outcome = tokens_pb2.REPORT_OUTCOME_ROTATED
        return tokens_pb2.ReportInvalidTokenResponse(
            outcome=outcome, token=self.token(app, corp), ttl=self.ttl
        )

    async def ListAppShares(
        self, request: shares_pb2.ListAppSharesRequest, context: Context
    ) -> shares_pb2.ListAppSharesResponse:
        """Answer in pages of two."""
        await self.enter("ListAppShares", request, context)
        start = int(request.page_token or 0)
        fitting = [share for share in self.shares if request.share_kind in (0, share.share_kind)]
        return shares_pb2.ListAppSharesResponse(
            shares=fitting[start : start + 2],
            next_page_token=str(start + 2) if start + 2 < len(fitting) else "",
        )

    async def SyncAppShares(
        self, request: shares_pb2.SyncAppSharesRequest, context: Context
    ) -> shares_pb2.SyncAppSharesResponse:
        await self.enter("SyncAppShares", request, context)
        return shares_pb2.SyncAppSharesResponse(added=self.shares, unchanged_count=7)

    async def WatchAppShares(
        self, request: shares_pb2.WatchAppSharesRequest, context: Context
    ) -> AsyncIterator[shares_pb2.WatchAppSharesResponse]:
        await self.enter("WatchAppShares", request, context)
        for change in self.share_changes:
            yield change
        if self.watches_shares_on:
            await asyncio.Event().wait()

    async def enter(self, method: str, request: object, context: Context) -> None:
        self.calls[method] += 1
        self.requests.append(request)
        self.authorizations.add(dict(context.invocation_metadata()).get("authorization"))
        self.changed()
        await self._answering.wait()
        if refusal := self.refusals.get(method):
            await refusal.abort(context)


def _key(target: Target) -> tuple[str, str]:
    return target.app, target.corp_id


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
