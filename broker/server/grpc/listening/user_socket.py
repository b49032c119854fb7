"""A socket file for the processes of one user: the kernel tells whose process connects.

gRPC for Python does not show a connection's credentials. So the broker accepts here, compares the user id,
and relays the bytes to a socket of gRPC in a private folder.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

from broker.server.grpc.listening import socket_file
from broker.server.grpc.listening.listener import Listener
from broker.server.http.server import CannotListen, system_reason

PIECE = 64 * 1024
CREDENTIALS = struct.Struct("3i")
"""`struct ucred` of Linux: process, user, group."""


@asynccontextmanager
async def relay_user(
    listener: Listener, inner: str, on_stranger: Callable[[str, int], None]
) -> AsyncIterator[None]:
    """Relay the user's connections to the inner socket until the context exits. Raises `CannotListen`.

    `on_stranger` is told the address and the user id of each connection that was refused.
    """
    relay = _Relay(listener, inner, on_stranger)
    async with AsyncExitStack() as stack:
        outer = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            socket_file.remove(listener.path)
            with socket_file.made_with(listener.path, listener.mode):
                outer.bind(listener.path)
        except OSError as error:
            raise CannotListen(f"cannot listen on {listener.address}: {system_reason(error)}") from None
        stack.callback(socket_file.remove, listener.path)
        server = await asyncio.start_unix_server(relay.serve, sock=outer, limit=PIECE)
        try:
            yield
        finally:
            server.close()
            await relay.end()


class _Relay:
    """The connections of one such socket."""

    def __init__(self, listener: Listener, inner: str, on_stranger: Callable[[str, int], None]) -> None:
        self._listener = listener
        self._inner = inner
        self._on_stranger = on_stranger
        self._open: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay a connection, or close it at once."""
        peer = writer.get_extra_info("socket")
        _, uid, _ = CREDENTIALS.unpack(
            peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        )
        if uid != self._listener.uid:
            writer.close()
            self._on_stranger(self._listener.address, uid)
            return
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def end(self) -> None:
        """End what is still open."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_writer = None
        try:
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._inner, limit=PIECE)
            await _first_of(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))
        except OSError:
            return
        finally:
            # What was written is sent before a side is closed.
            for side in (writer, inner_writer):
                if side:
                    side.close()


async def _first_of(*directions: Coroutine[object, object, None]) -> None:
    """Return when one direction has ended, for gRPC never closes half of a connection."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read, until its end."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
