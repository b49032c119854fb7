"""Many open watches of one client, spoken as plain HTTP/2: a client of gRPC would be the busy one."""

import asyncio
import struct
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW = 0, 1, 4, 6, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
ALL_OF_THEM = (1 << 31) - 1
STREAMS_A_CONNECTION = 1000
SENT_AT_ONCE = 50


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _headers(authority: str, path: str) -> bytes:
    """Return a header block of literals, without Huffman's code (RFC 7541, 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": authority,
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


class Connection:
    """One connection with up to a thousand watches."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.messages: dict[int, int] = {}
        """How many messages each stream has got."""
        self.rung = asyncio.Event()

    async def open(self, authority: str, path: str, request: bytes, streams: int) -> None:
        """Open the watches."""
        settings = struct.pack(">HIHI", 4, ALL_OF_THEM, 1, 0)
        self._writer.write(PREFACE + _frame(SETTINGS, 0, 0, settings))
        self._writer.write(_frame(WINDOW, 0, 0, struct.pack(">I", ALL_OF_THEM - 65_535)))
        head, body = _headers(authority, path), b"\0" + struct.pack(">I", len(request)) + request
        for number in range(streams):
            stream = 2 * number + 1
            self.messages[stream] = 0
            self._writer.write(_frame(HEADERS, END_HEADERS, stream, head))
            self._writer.write(_frame(DATA, END_STREAM, stream, body))
            if number % SENT_AT_ONCE == 0:
                await self._writer.drain()
                await asyncio.sleep(0.005)

    async def read(self) -> None:
        """Count what arrives, for ever."""
        while True:
            length, kind, flags, stream = _read_head(await self._reader.readexactly(9))
            payload = await self._reader.readexactly(length)
            if kind == DATA and length:
                self.messages[stream] += 1
                self.rung.set()
            elif kind in {SETTINGS, PING} and not flags & ACK:
                self._writer.write(_frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind not in {DATA, HEADERS, SETTINGS, PING, WINDOW} or (
                kind == HEADERS and flags & END_STREAM
            ):
                raise ConnectionError(f"frame {kind} ends a watch: {payload!r}")


def _read_head(head: bytes) -> tuple[int, int, int, int]:
    high, low, kind, flags, stream = struct.unpack(">BHBBI", head)
    return (high << 16) + low, kind, flags, stream


class Watches:
    """All of them. A context manager."""

    def __init__(self, address: str, path: str, request: bytes, count: int) -> None:
        self._address = address
        self._path = path
        self._request = request
        self._count = count
        self._connections: list[Connection] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        host, _, port = self._address.rpartition(":")
        for start in range(0, self._count, STREAMS_A_CONNECTION):
            connection = Connection(*await asyncio.open_connection(host, int(port)))
            self._connections.append(connection)
            self._tasks.append(asyncio.create_task(connection.read()))
            streams = min(STREAMS_A_CONNECTION, self._count - start)
            await connection.open(self._address, self._path, self._request, streams)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    async def all_have(self, messages: int) -> None:
        """Return when every watch has got so many."""
        for connection in self._connections:
            while min(connection.messages.values()) < messages:
                for task in self._tasks:
                    if task.done():
                        task.result()
                connection.rung.clear()
                async with asyncio.timeout(60):
                    await connection.rung.wait()
