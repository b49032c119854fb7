"""TLS before servers that are built without it; whoever speaks to them plainly is let through.

The servers of a set announce these ports, so that clients with TLS find all of them, and so do the others.
"""

import asyncio
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from tests.kit.processes.ports import free_port

HANDSHAKE = b"\x16"
"""The first byte of TLS; no command of Redis begins so."""
CHUNK = 65536


class TlsFronts:
    """Listen before servers, in a thread of its own: the set may be started while the test's loop is blocked.

    A context manager.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.secure: Counter[int] = Counter()
        """How many connections with TLS each server had, by its port."""
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()

    def before(self, target: int) -> int:
        """Return a port that leads to the server."""
        port = free_port()
        listener = socket.create_server(("127.0.0.1", port), backlog=100)
        listener.setblocking(False)
        self._do(self._begin(self._listen(listener, target)))
        return port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, listener: socket.socket, target: int) -> None:
        with listener:
            while True:
                connection, _ = await self._loop.sock_accept(listener)
                await self._begin(self._carry(connection, target))

    async def _carry(self, connection: socket.socket, target: int) -> None:
        writers: list[asyncio.StreamWriter] = []
        try:
            first = await self._first_byte(connection)
            secure = first == HANDSHAKE
            self.secure[target] += secure
            outer = await self._streams(connection, self._context if secure else None)
            writers.append(outer[1])
            inner = await asyncio.open_connection("127.0.0.1", target)
            writers.append(inner[1])
            await asyncio.gather(_pump(outer[0], inner[1]), _pump(inner[0], outer[1]))
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close() if not writers else None
            for writer in writers:
                writer.transport.abort()

    async def _first_byte(self, connection: socket.socket) -> bytes:
        """Return it and leave it where it is."""
        readable = self._loop.create_future()
        self._loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            self._loop.remove_reader(connection)
        return connection.recv(1, socket.MSG_PEEK)

    async def _streams(
        self, connection: socket.socket, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=context)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()
    raise ConnectionResetError  # the other direction ends, too
