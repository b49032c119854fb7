"""F16: strangers hold connections to both doors open and say nothing, or almost nothing."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.integration.attacks.ground import Ground, running_ground
from tests.integration.attacks.place import Place
from tests.integration.attacks.trial import trial, tried
from tests.integration.conftest import Figures

CONNECTIONS = 600
FEW_FILES = 256
HEAD = b"POST /callback/crm HTTP/1.1\r\nHost: b\r\nX: "
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DRIP_SECONDS = 1.0
CONNECTED_AGAIN_SECONDS = 0.05


async def keep_open(door: str, said: bytes, place: Place, done: Counter[str]) -> None:
    """Hold so many connections to one door, and make each that was closed anew; say it a byte at a time."""
    port = place.http_port if door == "http" else int(place.address.rpartition(":")[2])

    async def one() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                done["refused"] += 1
                await asyncio.sleep(DRIP_SECONDS)
                continue
            done["opened"] += 1
            try:
                await _drip(reader, writer, said)
            except OSError:
                pass
            finally:
                writer.close()
            await asyncio.sleep(CONNECTED_AGAIN_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(one())


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> None:
    """Return once the other end has closed."""
    closed = asyncio.ensure_future(reader.read())
    try:
        for byte in said:
            writer.write(bytes([byte]))
            if (await asyncio.wait([closed], timeout=DRIP_SECONDS))[0]:
                return
        await closed
    finally:
        closed.cancel()


ATTACKS = {
    "silence at http": partial(keep_open, "http", b""),
    "http heads byte by byte": partial(keep_open, "http", HEAD + b"x" * 1000),
    "silence at grpc": partial(keep_open, "grpc", b""),
    "prefaces byte by byte": partial(keep_open, "grpc", PREFACE),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_silent_connections_delay_nobody(ground: Ground, figures: Figures, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])

    figures(attack=attack, **verdict.figures())
    assert verdict.done["opened"] >= CONNECTIONS
    verdict.check()


@pytest.fixture(scope="module")
def poor_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A broker that may open few files."""
    with running_ground(tmp_path_factory.mktemp("poor"), files=FEW_FILES) as ground:
        yield ground


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_nor_where_files_are_few(poor_ground: Ground, figures: Figures, attack: str) -> None:
    # While they take all connections to gRPC that there may be, nobody gets another one.
    verdict = trial(poor_ground, ATTACKS[attack], connects_anew="http" in attack)

    figures(attack=attack, **verdict.figures())
    assert verdict.done["opened"]
    verdict.check()
