"""A channel that is replaced when the files of its certificate change: gRPC reads them only once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self

import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from wecom_broker._connection.tls import Tls

CHECK_SECONDS = 5.0
"""How often the files are looked at, while there are calls."""
KEPT = 2
"""How many replaced channels are kept for their calls; the broker ends connections after 16 minutes.

With one more, the oldest is closed: its streams are opened again on the newest."""


class RenewingChannel(grpc.aio.Channel):
    """Stands in for a channel. Each new call goes through the channel with the newest files."""

    def __init__(self, open_channel: Callable[[], grpc.aio.Channel], tls: Tls) -> None:
        """Open the first channel. Raises OSError."""
        self._open_channel = open_channel
        self._tls = tls
        self._read = tls.versions()
        self._current = open_channel()
        self._replaced: list[grpc.aio.Channel] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._next_check = time.monotonic() + CHECK_SECONDS

    @property
    def current(self) -> grpc.aio.Channel:
        """The channel for the next call."""
        if time.monotonic() >= self._next_check:
            self._check()
        return self._current

    def _check(self) -> None:
        self._next_check = time.monotonic() + CHECK_SECONDS
        versions = self._tls.versions()
        # A certificate may be written before its key: what does not fit yet is looked at again.
        if versions == self._read or not self._tls.fits():
            return
        try:
            opened = self._open_channel()
        except OSError:
            return
        self._read = versions
        self._replaced.append(self._current)
        self._current = opened
        if len(self._replaced) > KEPT:
            closing = asyncio.ensure_future(self._replaced.pop(0).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self, grace: float | None = None) -> None:
        """Close all channels."""
        replaced, self._replaced = self._replaced, []
        for channel in (self._current, *replaced):
            await channel.close(grace)
        await asyncio.gather(*self._closing)

    async def __aenter__(self) -> Self:
        """Return the channel itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all channels."""
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002  gRPC's
        """Return the state of the newest channel."""
        return self.current.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait for the newest channel's state to change."""
        await self.current.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the newest channel is connected."""
        await self.current.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return a method of the newest channel."""
        return _Method(self, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return a method of the newest channel."""
        return _Method(self, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return a method of the newest channel."""
        return _Method(self, "stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return a method of the newest channel."""
        return _Method(self, "stream_stream", args, kwargs)


class _Method:
    """A method of whichever channel is the newest."""

    __slots__ = ("_args", "_bound", "_bound_to", "_channel", "_kind", "_kwargs")

    def __init__(self, channel: RenewingChannel, kind: str, args: Any, kwargs: Any) -> None:  # noqa: ANN401
        self._channel = channel
        self._kind = kind
        self._args = args
        self._kwargs = kwargs
        self._bound_to: grpc.aio.Channel | None = None
        self._bound: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        current = self._channel.current
        if current is not self._bound_to:
            self._bound = getattr(current, self._kind)(*self._args, **self._kwargs)
            self._bound_to = current
        return self._bound(*args, **kwargs)
