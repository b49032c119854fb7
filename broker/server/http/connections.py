"""The connections of the HTTP server: how many there may be, and how long each may keep it waiting.

aiohttp bounds the time of an idle connection alone. Here whoever owes something - a head, a body, the
reading of an answer - is cut off after a few seconds, and gives way earlier where the connections are all
in use: gRPC and the probes share this process's file descriptors with strangers.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from broker.server.open_files import share_of_files

HEAD_SECONDS = 5.0
"""From the connection to the end of the first head."""
BODY_SECONDS = 5.0
"""From the head to the end of the body; callbacks answer earlier, see `READ_SECONDS`."""
KEEP_ALIVE_SECONDS = 15.0
"""From one answer to the end of the next head; the answer must have been read by then."""
MOST_CONNECTIONS = 2048
"""WeCom pushes suite_tickets and repeats in storms."""
SHARE_OF_FILES = 4
"""HTTP takes at most a quarter of the files that this process may open."""
LARGEST_BACKLOG = 128


def most_connections() -> int:
    """Return how many connections HTTP may have in this process."""
    return share_of_files(MOST_CONNECTIONS, SHARE_OF_FILES)


class Gauge(Protocol):
    """What shows the number of connections."""

    def set(self, value: float) -> None:
        """Show it."""


class Connections:
    """All connections of the server: `before(…)` is for the event loop, `middleware` for the application."""

    def __init__(self, most: int, gauge: Gauge) -> None:
        self._most = most
        self._gauge = gauge
        self._open: dict[asyncio.BaseTransport, Connection] = {}
        self._owing: dict[Connection, None] = {}
        """Those whose peer owes something, the one that has owed longest first."""

    @property
    def backlog(self) -> int:
        """Return how many connections may be accepted at once: each takes a file before it can be refused."""
        return max(1, min(LARGEST_BACKLOG, self._most // 2))

    def before(self, handlers: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return what makes a bounded connection around each handler."""
        return lambda: Connection(handlers(), self)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell the connection when a request begins and ends."""
        connection = self._open.get(request.transport) if request.transport else None
        if connection is None:
            return await handler(request)
        connection.begin(request)
        try:
            return await handler(request)
        finally:
            connection.end()

    def admit(self, connection: "Connection", transport: asyncio.BaseTransport) -> bool:
        """Count the connection; where there are too many, the one that has owed longest gives way."""
        if len(self._open) >= self._most:
            if not self._owing:
                return False
            oldest = next(iter(self._owing))
            oldest.cut()
            self.leave(oldest)
        self._open[transport] = connection
        self._gauge.set(len(self._open))
        return True

    def leave(self, connection: "Connection") -> None:
        """Forget the connection."""
        self._owing.pop(connection, None)
        if connection.transport and self._open.pop(connection.transport, None):
            self._gauge.set(len(self._open))

    def owes(self, connection: "Connection", *, owes: bool) -> None:
        """Note whether the peer owes something from now on."""
        self._owing.pop(connection, None)
        if owes and connection.transport in self._open:
            self._owing[connection] = None


class Connection(asyncio.Protocol):
    """One connection: hand all on to the handler, and cut off a peer that owes something for too long."""

    def __init__(self, handler: asyncio.Protocol, connections: Connections) -> None:
        self.transport: asyncio.Transport | None = None
        self._handler = handler
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._serves = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)
        self._handler.connection_made(transport)
        if self._connections.admit(self, transport):
            self._owes(HEAD_SECONDS)
        else:
            self.cut()

    def begin(self, request: web.BaseRequest) -> None:
        """Note that a request's head has arrived."""
        self._serves = True
        self._owes(BODY_SECONDS)
        request.content.on_eof(self._has_arrived)

    def end(self) -> None:
        """Note that a request was handled; its answer is not yet written."""
        self._serves = False
        self._owes(KEEP_ALIVE_SECONDS)

    def cut(self) -> None:
        """End the connection at once, whatever is still to be sent."""
        if self.transport:
            self.transport.abort()

    def _has_arrived(self) -> None:
        """Note that the request is whole; the rest of one that was answered earlier pays no debt."""
        if self._serves:
            self._settle()
            self._connections.owes(self, owes=False)

    def _owes(self, seconds: float) -> None:
        self._settle()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cut)
        self._connections.owes(self, owes=True)

    def _settle(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._settle()
        self._connections.leave(self)
        self._handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        return self._handler.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._handler.resume_writing()
