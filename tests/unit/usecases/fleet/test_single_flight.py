"""One attempt at a time for each key, whatever becomes of those who wait for it."""

import asyncio
from datetime import timedelta

import pytest

from broker.usecases.fleet.background import Background
from broker.usecases.fleet.single_flight import SingleFlight
from tests.kit.memory.engine_world import Witness
from tests.kit.memory.fake_clock import FakeClock, settle

SECOND = timedelta(seconds=1)


class Attempts:
    """Attempts that take a second, and are counted."""

    def __init__(self, clock: FakeClock, error: Exception | None = None) -> None:
        self._clock = clock
        self._error = error
        self.begun = 0
        self.done = 0

    async def run(self) -> int:
        self.begun += 1
        await self._clock.sleep(SECOND)
        if self._error:
            raise self._error
        self.done += 1
        return self.done


async def test_all_who_ask_meanwhile_share_one_errand() -> None:
    clock = FakeClock()
    attempts = Attempts(clock)
    async with Background(Witness(), FakeClock()) as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks)
        waiting = asyncio.gather(*(flights.join("key", attempts.run) for _ in range(100)))
        await clock.advance(SECOND)

        assert [1] * 100 == waiting.result()
        assert flights.running("key") is None

        again = asyncio.ensure_future(flights.join("key", attempts.run))
        await clock.advance(SECOND)
        assert 2 == again.result()


async def test_other_keys_fly_at_the_same_time() -> None:
    clock = FakeClock()
    attempts = Attempts(clock)
    async with Background(Witness(), FakeClock()) as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks)
        waiting = asyncio.gather(*(flights.join(key, attempts.run) for key in "abc"))
        await clock.advance(SECOND)

        assert [1, 2, 3] == sorted(waiting.result())


async def test_a_waiter_that_goes_away_does_not_stop_the_errand() -> None:
    clock = FakeClock()
    attempts = Attempts(clock)
    async with Background(Witness(), FakeClock()) as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks)
        first, second = (asyncio.ensure_future(flights.join("key", attempts.run)) for _ in range(2))
        await settle()
        first.cancel()
        await clock.advance(SECOND)

        assert 1 == second.result() == attempts.begun


async def test_an_errand_goes_on_though_all_its_waiters_went_away() -> None:
    clock = FakeClock()
    attempts = Attempts(clock)
    async with Background(Witness(), FakeClock()) as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks)
        waiter = asyncio.ensure_future(flights.join("key", attempts.run))
        await settle()
        waiter.cancel()
        await clock.advance(SECOND)

        assert 1 == attempts.done


async def test_all_who_wait_get_the_error_and_the_next_one_tries_again() -> None:
    clock = FakeClock()
    attempts = Attempts(clock, ValueError("no"))
    async with Background(Witness(), FakeClock()) as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks)
        for _ in range(2):
            waiting = asyncio.gather(
                *(flights.join("key", attempts.run) for _ in range(3)), return_exceptions=True
            )
            await clock.advance(SECOND)
            assert ["no"] * 3 == [str(error) for error in waiting.result()]

    assert 2 == attempts.begun


async def test_an_error_that_nobody_waits_for_is_not_cried_out() -> None:
    clock = FakeClock()
    attempts = Attempts(clock, ValueError("no"))
    async with Background(Witness(), FakeClock()) as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks)
        flights.start("key", attempts.run)
        await clock.advance(SECOND)

        assert flights.running("key") is None


async def test_waiters_end_with_the_broker() -> None:
    clock = FakeClock()
    attempts = Attempts(clock)
    tasks = Background(Witness(), FakeClock())
    flights: SingleFlight[str, int] = SingleFlight(tasks)
    waiter = asyncio.ensure_future(flights.join("key", attempts.run))
    await settle()
    await tasks.__aexit__(None, None, None)

    with pytest.raises(asyncio.CancelledError):
        await waiter
