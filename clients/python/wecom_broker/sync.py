"""The client for threads.

One background thread drives `wecom_broker.Broker`. A token that is in memory is read right there by the
calling thread; only what needs the broker goes through the background thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from concurrent import futures
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar

from wecom_broker import _broker
from wecom_broker._failures import closed
from wecom_broker.errors import BrokerClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

    from wecom_broker._channel import Tls
    from wecom_broker._shares import AppShare, AppShareChange, AppShareSync
    from wecom_broker._tokens import AccessToken, ShareKind

__all__ = ["Broker"]

Result = TypeVar("Result")


class Broker:
    """A client of the broker for threads. It should live as long as your application does.

        with Broker("dns:///wecom-broker:50051") as broker:
            token = broker.access_token("crm", corp="ww…")

    All threads share one. The arguments and methods are those of `wecom_broker.Broker`. gRPC does not survive
    a fork: make it after forking.
    """

    _thread: threading.Thread | None = None

    def __init__(
        self,
        target: str,
        *,
        token: str | Callable[[], str] | None = None,
        tls: Tls | None = None,
        timeout: timedelta = timedelta(seconds=10),
        idle_after: timedelta = timedelta(hours=1),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Name the broker, and start the background thread."""
        self._broker = _broker.Broker(
            target,
            token=token,
            tls=tls,
            timeout=timeout,
            idle_after=idle_after,
            clock=clock,
        )
        self._background = _Background(self._broker)
        self._thread = threading.Thread(target=self._background.run, name="wecom_broker", daemon=True)
        self._thread.start()
        self._background.started.wait()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def __del__(self) -> None:
        """Complain about a forgotten close."""
        if self._thread is not None and not self._background.closing:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        """Show the target, and no secret."""
        return f"<sync {self._broker!r}>"

    def close(self) -> None:
        """Close the connection and end the thread; calls under way raise BrokerClosed. May be repeated."""
        self._background.stop()
        if self._thread is not None:
            self._thread.join()

    def access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: timedelta | None = None,
    ) -> AccessToken:
        """Return a token that is valid now; from memory, but for the first call for a target.

        Raises BrokerError.
        """
        held = self._broker.held_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl)
        if held is not None:
            return held
        return self._background.result(
            self._broker.access_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl),
        )

    def held_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: timedelta | None = None,
    ) -> AccessToken | None:
        """Return the token in memory if it is valid, else None."""
        return self._broker.held_token(app, corp, share_kind=share_kind, agent_id=agent_id, min_ttl=min_ttl)

    def rejected(self, token: AccessToken, errcode: int) -> AccessToken:
        """Tell that WeCom refused the token, and return the one to use from now on. Raises BrokerError."""
        return self._background.result(self._broker.rejected(token, errcode))

    def watch_access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> Iterator[AccessToken]:
        """Yield the present token, then each rotation, over restarts of the broker. Raises BrokerError."""
        return self._background.iterate(
            self._broker.watch_access_token(app, corp, share_kind=share_kind, agent_id=agent_id),
        )

    def app_shares(self, app: str, share_kind: ShareKind | str | None = None) -> Iterator[AppShare]:
        """Yield the shares of an app that the broker knows, page by page. Raises BrokerError."""
        return self._background.iterate(self._broker.app_shares(app, share_kind))

    def sync_app_shares(self, app: str) -> AppShareSync:
        """Have the broker list the shares of an app at WeCom anew. Raises BrokerError."""
        return self._background.result(self._broker.sync_app_shares(app))

    def watch_app_shares(self, app: str) -> Iterator[AppShareChange]:
        """Yield the present shares of an app, then each change. Raises BrokerError."""
        return self._background.iterate(self._broker.watch_app_shares(app))


class _Background:
    """The thread's event loop, from its start to its end.

    Work is handed over under a lock that `stop` takes too, so nothing is handed to a loop that already left.
    The lock is reentrant and `iterate` does not wait at its end, because a forgotten iterator ends in the
    garbage collector, which may run in any thread and at any place.
    """

    def __init__(self, broker: _broker.Broker) -> None:
        self.started = threading.Event()
        self.closing = False
        self._broker = broker
        self._handover = threading.RLock()
        self._loop: asyncio.AbstractEventLoop
        self._stopped: asyncio.Event

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        with self._handover:
            if not self.closing:
                self.closing = True
                self._loop.call_soon_threadsafe(self._stopped.set)

    def result(self, work: Coroutine[object, object, Result]) -> Result:
        """Wait for the work, which is cancelled when the waiting is interrupted, as by Ctrl-C."""
        future = self._submit(work)
        try:
            return future.result()
        except futures.CancelledError:
            raise closed() from None
        finally:
            future.cancel()

    def iterate(self, items: AsyncGenerator[Result]) -> Iterator[Result]:
        try:
            while True:
                try:
                    yield self.result(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            with suppress(BrokerClosed):
                self._submit(items.aclose())

    def _submit(self, work: Coroutine[object, object, Result]) -> futures.Future[Result]:
        with self._handover:
            if not self.closing:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise closed()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self.started.set()
        async with self._broker:
            await self._stopped.wait()
