"""How an answer, or a fault that replaces it, is sent."""

import asyncio
import json
import socket
import struct
from urllib.parse import quote

from aiohttp import web

from broker.simulator.answers import Answer
from broker.simulator.world.faults import (
    Fault,
    Hang,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Truncated,
)
from broker.simulator.world.media import UploadedFile

_JUNK = {
    JunkKind.HTML: ("text/html", "<html><body><h1>It works!</h1></body></html>"),
    JunkKind.INVALID_JSON: ("application/json", '{"errcode":0,"errmsg":"ok",'),
    JunkKind.NOT_AN_OBJECT: ("application/json", '["ok"]'),
    JunkKind.EMPTY: ("application/json", ""),
}


def reply(payload: Answer | UploadedFile) -> web.Response:
    """Return the HTTP response for an answer or a file."""
    if isinstance(payload, UploadedFile):
        return _download(payload)
    return web.Response(body=_json(payload), content_type="application/json", charset="UTF-8")


async def send(request: web.Request, answered: web.Response, fault: Fault | None) -> web.Response:
    """Return the response to send: the answer itself unless a fault replaces it."""
    match fault:
        case HttpStatus(status):
            return web.Response(
                status=status, text=f"<html><h1>{status}</h1></html>", content_type="text/html"
            )
        case Junk(kind):
            content_type, text = _JUNK[kind]
            return web.Response(text=text, content_type=content_type)
        case Hang():
            await asyncio.Event().wait()
        case Reset():
            return _reset(request)
        case Truncated():
            return _close_halfway(request, answered)
    return answered


def _json(payload: Answer) -> bytes:
    raw: list[bytes] = []

    def placeholder(value: bytes) -> str:
        raw.append(value)
        return f"\0{len(raw) - 1}\0"

    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=placeholder)
    body = text.encode(errors="replace")
    for number, value in enumerate(raw):
        body = body.replace(rb"\u0000%d\u0000" % number, value)
    return body


def _download(file: UploadedFile) -> web.Response:
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "_" for letter in file.name)
    plain = plain.replace("\\", "_").replace('"', "_")
    named = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='', errors='replace')}"
    )
    return web.Response(
        body=file.content, content_type=file.content_type, headers={"Content-Disposition": named}
    )


def closed(request: web.Request) -> bool:
    """Return whether the connection is closed or closing."""
    return request.transport is None or request.transport.is_closing()


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        # Zero linger makes the kernel send RST instead of FIN.
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return _nobody_gets_this()


def _close_halfway(request: web.Request, answered: web.Response) -> web.Response:
    body = answered.body if isinstance(answered.body, bytes) else b""
    kind = answered.content_type
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    if request.transport is not None:
        request.transport.write(head.encode() + body[: len(body) // 2])
        request.transport.close()
    return _nobody_gets_this()


def _nobody_gets_this() -> web.Response:
    return web.Response(status=500)
