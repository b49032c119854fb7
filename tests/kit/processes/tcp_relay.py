"""A relay in front of a Redis: acts like DNS, a virtual IP or a Kubernetes Service at a failover."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """Connect new clients to `target`; existing connections stay unchanged."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.open = 0
        """The number of open connections."""
        self.opened = 0
        """The number of connections so far."""
        self.reply = ""
        """The error with which the relay itself answers every script and every write, if set."""
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.opened += 1
        self._writers.add(writer)
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self._ask(reader, inner_writer, writer), self._pass_on(inner_reader, writer))
        except OSError:
            writer.close()
        finally:
            self.open -= 1
            self._writers.discard(writer)

    async def close(self) -> None:
        """Close all connections."""
        for writer in tuple(self._writers):
            writer.close()
        while self.open:
            await asyncio.sleep(0.01)

    async def _ask(
        self, reader: asyncio.StreamReader, inner: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        """Forward commands; a client sends one at a time, and waits for its answer."""
        with suppress(OSError):
            while data := await reader.read(65536):
                if self.reply and (b"EVALSHA" in data or b"DEL\r\n" in data):
                    writer.write(f"-{self.reply}\r\n".encode())
                else:
                    inner.write(data)
        inner.close()

    async def _pass_on(self, inner: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await inner.read(65536):
                writer.write(data)
        writer.close()


@asynccontextmanager
async def relay_to(port: int, listening_on: int = 0) -> AsyncIterator[Relay]:
    """Listen inside the block, on its own port unless one is given."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", listening_on)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
