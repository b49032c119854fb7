"""`AppShareService`: which children an app is shared with."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

from wecom_broker.v1 import app_share_service_pb2 as pb
from wecom_broker.v1 import app_share_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.apps import App
from broker.domain.shares import AppShare
from broker.server.grpc import messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.rights import requires
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.parents import Parents

_Request = pb.ListAppSharesRequest | pb.SyncAppSharesRequest | pb.WatchAppSharesRequest

CHUNK = 500
"""Shares per message of a stream: a snapshot of any size stays under gRPC's message limit."""


class AppShareServicer(pb_grpc.AppShareServiceServicer):
    """Parse, ask `ShareDirectory`, reply."""

    def __init__(self, parents: Parents, shares: ShareDirectory, lister: ShareLister) -> None:
        self._parents = parents
        self._shares = shares
        self._lister = lister

    @requires(Action.SHARE_READ)
    async def ListAppShares(
        self, request: pb.ListAppSharesRequest, context: Context
    ) -> pb.ListAppSharesResponse:
        """Return one page of the known shares."""
        app = await self._app(request)
        shares = await self._shares.all(app, messages.share_kind("share_kind", request.share_kind))
        shown, token = messages.page(
            shares, _mark, partial(messages.app_share, app), request.page_size, request.page_token
        )
        return pb.ListAppSharesResponse(shares=shown, next_page_token=token)

    @requires(Action.SHARE_SYNC, operates=True)
    async def SyncAppShares(
        self, request: pb.SyncAppSharesRequest, context: Context
    ) -> pb.SyncAppSharesResponse:
        """List the shares again, and return what changed."""
        app = await self._app(request)
        app.check_agent("parent_corp_id" if request.parent_corp_id else "app")
        changes = await self._lister.sync(app)
        return pb.SyncAppSharesResponse(
            added=[messages.app_share(app, share) for share in changes.added],
            removed=[messages.app_share(app, share) for share in changes.removed],
            unchanged_count=changes.unchanged_count,
        )

    @requires(Action.SHARE_READ)
    async def WatchAppShares(
        self, request: pb.WatchAppSharesRequest, context: Context
    ) -> AsyncIterator[pb.WatchAppSharesResponse]:
        """Stream the present shares, then each change."""
        app = await self._app(request)
        async with aclosing(self._shares.watch(app)) as stream:
            snapshot = await anext(stream)
            for message in _messages(app, pb.SHARE_CHANGE_TYPE_SNAPSHOT, snapshot.added) or [
                pb.WatchAppSharesResponse(change_type=pb.SHARE_CHANGE_TYPE_SNAPSHOT, snapshot_complete=True)
            ]:
                yield message
            async for changes in stream:
                for message in _messages(app, pb.SHARE_CHANGE_TYPE_REMOVED, changes.removed):
                    yield message
                for message in _messages(app, pb.SHARE_CHANGE_TYPE_ADDED, changes.added):
                    yield message

    async def _app(self, request: _Request) -> App:
        """Return the app in the corp that shares it. Raises as `Parents.named`."""
        name = messages.app_name("app", request.app)
        return await self._parents.named(name, messages.corp_id("parent_corp_id", request.parent_corp_id))


def _messages(
    app: App, change_type: pb.ShareChangeType, shares: tuple[AppShare, ...]
) -> list[pb.WatchAppSharesResponse]:
    """Return the shares in messages of limited size; the last one of a snapshot says so."""
    chunks = [shares[start : start + CHUNK] for start in range(0, len(shares), CHUNK)]
    return [
        pb.WatchAppSharesResponse(
            change_type=change_type,
            shares=[messages.app_share(app, share) for share in chunk],
            snapshot_complete=change_type == pb.SHARE_CHANGE_TYPE_SNAPSHOT and position == len(chunks) - 1,
        )
        for position, chunk in enumerate(chunks)
    ]


def _mark(share: AppShare) -> str:
    # A space sorts before every character of an id: the marks are in the order of the shares.
    return f"{share.share_kind} {share.corp_id} {share.agent_id:020d}"
