"""The newest value for one reader."""

import asyncio

import pytest

from broker.domain.errors import UnknownApp
from broker.usecases.fleet.latest import Latest
from tests.kit.memory.fake_clock import settle


async def read(latest: Latest[int | None], into: list[int | None]) -> None:
    async for value in latest:
        into.append(value)  # noqa: PERF401 - tests look at what has been read so far


async def test_a_slow_reader_gets_the_newest_alone_and_each_once() -> None:
    latest: Latest[int | None] = Latest()
    latest.put(1)
    latest.put(2)
    found: list[int | None] = []
    reading = asyncio.create_task(read(latest, found))
    await settle()
    latest.put(None)
    await settle()
    latest.put(3)
    latest.put(4)
    await settle()
    latest.close()
    await reading

    assert [2, None, 4] == found


async def test_it_ends_with_its_error_also_for_who_waits() -> None:
    latest: Latest[int | None] = Latest()
    reading = asyncio.create_task(read(latest, []))
    await settle()
    latest.fail(UnknownApp("as the test says"))

    with pytest.raises(UnknownApp):
        await reading
    with pytest.raises(UnknownApp):
        await read(latest, [])


async def test_what_is_put_after_its_reader_has_left_harms_nobody() -> None:
    latest: Latest[int | None] = Latest()
    reading = asyncio.create_task(read(latest, []))
    await settle()
    reading.cancel()
    await asyncio.wait([reading])
    latest.put(1)
    latest.close()

    await read(latest, found := [])
    assert [] == found
