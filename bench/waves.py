"""A day of refreshes in simulated time: the real engine and the real renewal ahead of time, on a fake clock.

Nothing of the broker is modelled: replicas with their engines share a store in memory, in front of the
simulated WeCom. Callers ask every replica for every credential, again and again, as busy services do.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, WecomUnavailable
from broker.simulator.world.tokens import Habit
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, EngineWorld, Replica
from tests.kit.memory.wecom import Endpoint

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ASKED_EVERY = timedelta(minutes=2)
"""How often each replica's callers ask for each credential."""

APART = timedelta(seconds=0.37)
"""Processes are not in step: each starts so much after the one before."""


class Chance:
    """Reproducible randomness."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """See `Randomness.jitter`."""
        return duration * self._random.uniform(1 - spread, 1 + spread)

    def unguessable(self) -> str:
        """See `Randomness.unguessable`."""
        return f"{self._random.getrandbits(128):032x}"


@dataclass(frozen=True)
class Happening:
    """What happens to the fleet at a moment of the day."""

    at: timedelta
    what: str
    lasts: timedelta = timedelta(0)


@dataclass
class Day:
    """What WeCom saw, minute by minute."""

    fetches: Counter[int] = field(default_factory=Counter)
    attempts: int = 0
    refused: int = 0
    """Callers who got an error."""

    def peak(self, since: timedelta, until: timedelta) -> int:
        """Return the most fetches of one minute in that time."""
        return max(self.fetches[minute] for minute in range(_minute(since), _minute(until)))

    def mean(self, since: timedelta, until: timedelta) -> float:
        """Return the mean number of fetches a minute in that time."""
        minutes = range(_minute(since), _minute(until))
        return sum(self.fetches[minute] for minute in minutes) / len(minutes)


def _minute(after: timedelta) -> int:
    return int(after / MINUTE)


class Waves:
    """One simulated day."""

    def __init__(self, children: int, replicas: int, *, unpaced: int, seed: int = 1) -> None:
        self._size = replicas
        self._random = random.Random(seed)
        self._world = world = EngineWorld()
        world.randomness = Chance(seed)  # type: ignore[assignment]
        world.wecom.habit = Habit.NEW_VALUE_OLD_ALIVE
        world.wecom.delay = timedelta(milliseconds=100)
        world.wecom.shares = [replace(CHILD_SHARE, corp_id=f"ww-child-{n}") for n in range(children)]
        self._keys = [CredentialKey.child_token(CRM, share) for share in world.wecom.shares]
        self._wanted: list[CredentialKey] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        world.core_options = {"unpaced": unpaced}
        self.day = Day()

    async def run(self, fill: timedelta, happenings: Sequence[Happening], length: timedelta) -> Day:
        """Let callers begin with each credential within `fill`, and things happen; return what WeCom saw."""
        world = self._world
        async with world:
            self._start = world.clock.now()
            for _ in range(self._size):
                (await world.start()).refresh_ahead()
                await world.clock.advance(APART)
            self._spawn(self._begin(fill))
            for number in range(self._size):
                self._spawn(self._call(number))
            for minute in range(_minute(length)):
                for happening in happenings:
                    await self._happen(happening, minute)
                await world.clock.advance(MINUTE)
                self._count()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.day

    def _count(self) -> None:
        """Take the calls of the last minute off the record, which would grow all day."""
        for call in self._world.wecom.calls:
            if call.endpoint is Endpoint.CHILD_TOKEN:
                self.day.attempts += 1
                if call.error is None:
                    self.day.fetches[_minute(call.began - self._start)] += 1
        self._world.wecom.calls.clear()

    async def _begin(self, fill: timedelta) -> None:
        keys = list(self._keys)
        self._random.shuffle(keys)
        for key in keys:
            self._wanted.append(key)
            await self._world.clock.sleep(fill / len(keys))

    async def _call(self, number: int) -> None:
        while True:
            await self._world.clock.sleep(ASKED_EVERY)
            replica = self._world.replicas[number]
            for key in self._wanted:
                self._spawn(self._ask(replica, key))

    async def _ask(self, replica: Replica, key: CredentialKey) -> None:
        try:
            await replica.engine.get(key)
        except BrokerError:
            self.day.refused += 1

    async def _happen(self, happening: Happening, minute: int) -> None:
        """Begin or end what happens in this minute."""
        world = self._world
        begins, ends = minute == _minute(happening.at), minute == _minute(happening.at + happening.lasts)
        match happening.what:
            case "restart" if begins:
                for number in range(self._size):
                    await world.replicas[number].close()
                    (await world.start(number=number)).refresh_ahead()
                    await world.clock.advance(APART)
            case "wecom" if begins:
                for endpoint in (Endpoint.CHILD_TOKEN, Endpoint.APP_TOKEN):
                    world.wecom.fail(endpoint, lambda: WecomUnavailable("busy"))
            case "wecom" if ends:
                world.wecom.recover()
            case "store" if begins:
                for replica in world.replicas:
                    replica.store.cut()
            case "store" if ends:
                for replica in world.replicas:
                    replica.store.mend()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


CHILDREN, REPLICAS, DAY = 600, 2, 24 * HOUR
FILL = timedelta(minutes=100)
PACED_FROM_THE_FIRST = 1
"""Few children are not paced at all, so what many would see is simulated with few that are."""
NEVER_PACED = 1_000_000


async def simulated(length: timedelta = DAY, *, unpaced: int = PACED_FROM_THE_FIRST) -> Day:
    """Return a day of the fleet: it restarts at 6:00, WeCom fails at 10:00, and the store at 17:00.

    The same happens in less time, if `length` is less.
    """
    happenings = (
        Happening(length * 6 / 24, "restart"),
        Happening(length * 10 / 24, "wecom", timedelta(minutes=15)),
        Happening(length * 17 / 24, "store", timedelta(minutes=10)),
    )
    return await Waves(CHILDREN, REPLICAS, unpaced=unpaced).run(FILL, happenings, length)


def main() -> None:
    """Simulate the day, paced and not."""
    for name, unpaced in (("paced", PACED_FROM_THE_FIRST), ("not paced", NEVER_PACED)):
        day = asyncio.run(simulated(unpaced=unpaced))
        mean, peak = day.mean(2 * HOUR, DAY), day.peak(2 * HOUR, DAY)
        print(
            f"{name}: mean {mean:.1f}, peak {peak}, {peak / mean:.1f} times the mean, {day.refused} refused"
        )


if __name__ == "__main__":
    main()
