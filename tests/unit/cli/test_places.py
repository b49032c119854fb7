"""The places of workers: who has served there, and when another worker follows."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from broker.cli.serving.hangup import HANGUP, Hangups
from broker.cli.serving.place import Place, are_ready
from broker.cli.serving.worker import Worker
from tests.kit.processes.fleet import until

TELLS = "import os, signal, socket, sys; told = socket.socket(fileno=int(sys.argv[1])); "
SERVES = f"{TELLS} told.send(b'READY=1'); signal.pause()"
CANNOT_START = "import os; os._exit(3)"
RELOADS_OFTEN = f"""{TELLS}
for number in range(400):
    told.send(b'RELOADING=1\\nMONOTONIC_USEC=%d' % number)
    told.send(b'READY=1')
signal.pause()
"""


class Workers:
    """Start workers, each with what it does; the place's time passes on demand."""

    def __init__(self, hangups: Hangups) -> None:
        self._hangups = hangups
        self.started: list[Worker] = []
        self.does = SERVES
        self.cannot_start: OSError | None = None
        self.now = 0.0

    def start(self) -> Worker:
        if self.cannot_start:
            raise self.cannot_start
        command = [sys.executable, "-S", "-c", self.does]
        self.started.append(Worker.start(command, os.environ, self._hangups))
        return self.started[-1]

    def place(self) -> Place:
        return Place(self.start, lambda: self.now)


@pytest.fixture
def workers() -> Iterator[Workers]:
    assert HANGUP is not None
    before = signal.getsignal(HANGUP)
    found = Workers(Hangups())
    yield found
    signal.signal(HANGUP, before)
    for worker in found.started:
        worker.send(signal.SIGKILL)
    while any(worker.exit_code is None for worker in found.started):
        pass


async def end(place: Place) -> int:
    """Return the exit code of the place's worker, once it has one."""
    codes: list[int | None] = []

    def has_ended() -> bool:
        codes.append(place.ended())
        return codes[-1] is not None

    await until(has_ended)
    assert codes[-1] is not None
    return codes[-1]


async def pause_after(place: Place, workers: Workers, does: str) -> float:
    """Return how long the place is empty after a worker that does this."""
    workers.does = does
    workers.now += place.pause_seconds
    place.take()
    if does == SERVES:
        await until(lambda: place.ended() is None and place.worker.has_served)
        place.worker.send(signal.SIGKILL)
    await end(place)
    return place.pause_seconds


async def test_each_worker_that_cannot_start_makes_the_pause_longer_and_one_that_serves_short(
    workers: Workers,
) -> None:
    workers.does = CANNOT_START
    place = workers.place()
    assert 3 == await end(place)

    assert 1.0 == place.pause_seconds
    pauses = [await pause_after(place, workers, CANNOT_START) for _ in range(6)]
    assert [2.0, 4.0, 8.0, 16.0, 30.0, 30.0] == pauses
    assert [1.0, 2.0] == [await pause_after(place, workers, does) for does in (SERVES, CANNOT_START)]


async def test_nobody_takes_a_place_before_the_pause_is_over_unless_it_is_hurried(workers: Workers) -> None:
    workers.does = CANNOT_START
    place = workers.place()
    await end(place)

    workers.now += 0.9
    place.take()
    assert 1 == len(workers.started)
    workers.now += 0.1
    place.take()
    assert 2 == len(workers.started)

    await end(place)
    place.hurry()
    place.take()
    assert 3 == len(workers.started)


async def test_an_empty_place_is_waited_for_only_until_somebody_has_served_there(workers: Workers) -> None:
    workers.does = CANNOT_START
    place = workers.place()
    await end(place)
    assert not place.is_ready(0)

    await pause_after(place, workers, SERVES)
    assert place.is_empty
    assert place.is_ready(0)


async def test_a_system_that_starts_no_process_begins_the_next_pause(workers: Workers) -> None:
    workers.does = CANNOT_START
    place = workers.place()
    await end(place)

    workers.cannot_start = BlockingIOError("Resource temporarily unavailable")
    workers.now += 1
    with pytest.raises(BlockingIOError):
        place.take()
    assert place.is_empty
    assert 2.0 == place.pause_seconds


async def test_a_worker_that_reloads_often_is_heard_each_time(workers: Workers) -> None:
    workers.does = RELOADS_OFTEN
    place = workers.place()

    await until(lambda: place.ended() is None and place.is_ready(399))


async def test_a_broker_is_ready_while_a_place_is_empty_but_not_while_all_are(workers: Workers) -> None:
    places = [workers.place(), workers.place()]

    def all_have_served() -> bool:
        return [place.ended() for place in places] == [None, None] and are_ready(places, 0)

    await until(all_have_served)
    for place, is_ready in zip(places, (True, False), strict=True):
        place.worker.send(signal.SIGKILL)
        await end(place)
        assert is_ready is are_ready(places, 0)
