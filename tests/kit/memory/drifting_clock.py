"""The real `SystemClock` on a machine whose clock a test sets, and which it may suspend."""

from datetime import timedelta

from broker.adapters.system import SystemClock
from tests.kit.memory.fake_clock import FakeClock


class Machine:
    """A machine: the world's time passes, but its clock may be wrong, and it may be suspended."""

    def __init__(self, world: FakeClock, off: timedelta = timedelta(0)) -> None:
        self.world = world
        self.off = off
        self.suspended = timedelta(0)
        self._began = world.now()

    def seconds(self) -> float:
        """Return what the machine's clock says, in seconds since 1970."""
        return (self.world.now() + self.off).timestamp()

    def monotonic(self) -> float:
        """Return the seconds that the machine has run, without those in which it was suspended."""
        return (self.world.now() - self._began - self.suspended).total_seconds()

    def suspend(self, duration: timedelta) -> None:
        """Suspend the machine that long, from the world's present; its clock is set when it wakes up."""
        self.suspended += duration


class DriftingClock(SystemClock):
    """The fleet's time on that machine; sleepers wake by the world's time."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.seconds, machine.monotonic)
        self.machine = machine

    async def sleep(self, duration: timedelta) -> None:
        """Wait until the test has advanced the world's time by that much."""
        await self.machine.world.sleep(duration)

    @property
    def error(self) -> timedelta:
        """Return how far this clock is ahead of the world's."""
        return self.now() - self.machine.world.now()
