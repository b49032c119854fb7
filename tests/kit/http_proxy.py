"""An HTTP proxy that records its requests, and a WeCom with a certificate of the tests' CA."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.kit.processes.certificates import Authority

ANSWER = {"access_token": "the-token", "expires_in": 7200}


@dataclass
class Proxy:
    """The requests to the proxy, and how it answers."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    refusal: bytes = b""
    """The answer to all requests, if set; nothing is forwarded then."""
    silent: bool = False

    @property
    def lines(self) -> list[bytes]:
        """Return the first line of each request."""
        return [head.partition(b"\r\n")[0] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tunnel a CONNECT; forward an absolute-form request."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            method, wanted, _ = head.split(b" ", 2)
            if self.silent:
                await reader.read()
            elif self.refusal:
                writer.write(self.refusal)
                await writer.drain()
            elif method == b"CONNECT":
                await _tunnel(reader, writer, wanted, b"HTTP/1.1 200 OK\r\n\r\n", b"")
            else:
                # One request for each connection, so that each is recorded.
                head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
                await _tunnel(reader, writer, wanted.split(b"/")[2], b"", head)
        writer.close()


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: bytes, said: bytes, head: bytes
) -> None:
    # Ignore the name: the only WeCom listens on loopback.
    upstream, onward = await asyncio.open_connection("127.0.0.1", int(wanted.rpartition(b":")[2]))
    writer.write(said)
    onward.write(head)
    await asyncio.gather(_pump(reader, onward), _pump(upstream, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def proxy() -> AsyncIterator[Proxy]:
    """Run a proxy inside the block."""
    found = Proxy()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


@asynccontextmanager
async def secure_wecom(
    folder: Path, name: str = "wecom.test"
) -> AsyncIterator[tuple[str, str, list[web.Request]]]:
    """Serve a token over TLS; yield the URL with that name, the CA's file, and the requests."""
    authority, asked = Authority(), list[web.Request]()
    paths = authority.sign(dns=name).write(folder, "wecom")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths["certificate"], paths["private_key"])

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response(ANSWER)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://{name}:{runner.addresses[0][1]}", authority.write(folder), asked
    finally:
        await runner.cleanup()
