"""The few frames of HTTP/2 with which somebody floods a gRPC port, as no client of gRPC would."""

import asyncio
import itertools
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
INITIAL_WINDOW_SIZE = 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def request(rpc: str, **more: str) -> bytes:
    """Return the header block of a call, each field as a literal that nobody remembers (RFC 7541, 6.2.2)."""
    fields = {":method": "POST", ":scheme": "http", ":path": rpc, ":authority": "broker"}
    fields |= {"te": "trailers", "content-type": "application/grpc", **more}
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())


def _text(value: str) -> bytes:
    """Return a string without Huffman's code; its length has a prefix of seven bits."""
    encoded, length = value.encode(), len(value.encode())
    if length < 127:
        return bytes([length]) + encoded
    found, rest = bytearray([127]), length - 127
    while rest >= 128:
        found.append(rest % 128 + 128)
        rest //= 128
    return bytes([*found, rest]) + encoded


def streams() -> Iterator[int]:
    """Return the numbers of a client's streams."""
    return itertools.count(1, 2)


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and say what a client says first."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + frame(SETTINGS, 0, 0))
    writer.write(frame(SETTINGS, ACK, 0))
    return reader, writer


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what comes until the other end closes, and answer its pings."""
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        if head[3] == PING and not head[4] & ACK:
            writer.write(frame(PING, ACK, 0, payload))


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    """Return the next frame: kind, flags, stream and payload."""
    head = await reader.readexactly(9)
    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
    return head[3], head[4], int.from_bytes(head[5:], "big"), payload


def settings(payload: bytes) -> dict[int, int]:
    """Return the settings in a frame's payload, by their numbers."""
    words = [payload[start : start + 6] for start in range(0, len(payload), 6)]
    return {int.from_bytes(word[:2], "big"): int.from_bytes(word[2:], "big") for word in words}
