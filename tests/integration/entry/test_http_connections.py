"""The HTTP door under strangers who keep it waiting: each is cut off within seconds, nobody is starved."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.server.http import connections
from broker.simulator.demo import demo_world
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.fleet import PATIENCE, until

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
SILENT = 600
HEAD = b"POST /callback/crm?msg_signature=a&timestamp=1&nonce=2 HTTP/1.1\r\nHost: b\r\n"


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BrokerHere]:
    """A broker whose patience is a tenth, and whose connections are few."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "KEEP_ALIVE_SECONDS"):
        monkeypatch.setattr(connections, name, getattr(connections, name) / 10)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 32)
    async with broker_here(tmp_path, demo_world()) as here:
        yield here


async def connect(here: BrokerHere) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", here.broker.http_port)


def open_connections(here: BrokerHere) -> float:
    return here.broker.telemetry.metrics.registry.get_sample_value("wecom_broker_http_connections") or 0.0


async def lives(here: BrokerHere) -> bytes:
    reader, writer = await connect(here)
    writer.write(LAST)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return answer


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> None:
    """Send a byte at a time until the other end is gone."""
    try:
        for position in range(len(text)):
            writer.write(text[position : position + 1])
            await writer.drain()
            await asyncio.sleep(0.05)
            if reader.at_eof():
                return
    except ConnectionError:
        return
    raise AssertionError("all of it was waited for")


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what came before the other end closed, in whatever way."""
    got = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65536), PATIENCE):
            got += piece
    except ConnectionError:
        pass
    return got


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", LIVEZ[:-2], b"\r\n" * 20, HEAD + b"X: " + b"x" * 4000, LIVEZ, LIVEZ + LIVEZ[:-2]],
    ids=["nothing", "a byte", "half a head", "line ends", "half a field", "a request", "one and a half"],
)
async def test_who_owes_a_head_is_cut_off(here: BrokerHere, sent: bytes) -> None:
    reader, writer = await connect(here)
    writer.write(sent)
    await until_closed(reader)
    writer.close()
    await until(lambda: open_connections(here) == 0)


async def test_a_head_byte_by_byte_is_no_way_around_it(here: BrokerHere) -> None:
    reader, writer = await connect(here)
    await drip(reader, writer, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 2000)
    writer.close()


async def test_a_second_head_byte_by_byte_is_no_way_around_it(here: BrokerHere) -> None:
    reader, writer = await connect(here)
    writer.write(LIVEZ)
    await drip(reader, writer, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 2000)
    writer.close()


@pytest.mark.parametrize("length", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize(
    "target", [b"/callback/crm?msg_signature=a&timestamp=1&nonce=2", b"/livez", b"/nowhere"]
)
async def test_who_owes_a_body_is_cut_off(here: BrokerHere, target: bytes, length: bytes) -> None:
    reader, writer = await connect(here)
    writer.write(b"POST " + target + b" HTTP/1.1\r\nHost: b\r\n" + length)
    await until_closed(reader)
    writer.close()
    await until(lambda: open_connections(here) == 0)


async def test_who_does_not_read_his_answers_is_cut_off(here: BrokerHere) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", here.broker.http_port, limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    asks = b"GET /metrics HTTP/1.1\r\nHost: b\r\n\r\n" * 2000
    began = time.monotonic()
    writer.write(asks)
    await until(lambda: open_connections(here) == 1)
    await until(lambda: open_connections(here) == 0)
    assert time.monotonic() - began > connections.BODY_SECONDS / 2
    writer.close()


async def test_silent_connections_leave_room_for_probes(here: BrokerHere) -> None:
    with ExitStack() as stack:
        for _ in range(SILENT):
            _, writer = await connect(here)
            stack.callback(writer.close)
        answer = await lives(here)
        most = open_connections(here)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert most <= 32
        await until(lambda: open_connections(here) == 0)


async def test_who_owes_gives_way_and_who_was_promised_an_answer_does_not(here: BrokerHere) -> None:
    """A complete request in the door is no debt: connections that come after it cut others off."""
    asking = [asyncio.create_task(lives(here)) for _ in range(20)]
    silent = [await connect(here) for _ in range(100)]

    assert {b"HTTP/1.1 200 OK"} == {answer.split(b"\r\n")[0] for answer in await asyncio.gather(*asking)}
    for _, writer in silent:
        writer.close()


async def test_pipelined_requests_are_all_answered(here: BrokerHere) -> None:
    reader, writer = await connect(here)
    writer.write(LIVEZ * 50 + LAST)

    assert 51 == (await until_closed(reader)).count(b"\r\n\r\nok\n")
    writer.close()


async def test_a_kept_connection_serves_requests_for_longer_than_one_may_take(here: BrokerHere) -> None:
    reader, writer = await connect(here)
    for _ in range(8):
        writer.write(LIVEZ)
        assert await asyncio.wait_for(reader.readuntil(b"ok\n"), PATIENCE)
        await asyncio.sleep(connections.HEAD_SECONDS / 4)
    writer.close()


@pytest.mark.parametrize(
    ("files", "most"), [(256, 64), (1024, 256), (65536, 2048), (resource.RLIM_INFINITY, 2048)]
)
def test_http_takes_a_share_of_the_files(monkeypatch: pytest.MonkeyPatch, files: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert most == connections.most_connections()
