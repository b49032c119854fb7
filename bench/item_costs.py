"""What one child costs a broker and its Redis: CPU a refresh, commands and bytes, calls to WeCom.

A broker in its own process, a real Redis and the simulated WeCom; each child's token is fetched once, cold.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from tests.kit.processes.fleet import CHILD_TOKEN, Fleet, Replica, child, connect, running_fleet

CHILDREN = 4000
CALLERS = 16


@dataclass(frozen=True)
class Counts:
    """What has been used so far."""

    cpu_seconds: float
    commands: int
    redis_bytes: int
    stored_bytes: int
    wecom_calls: int

    @classmethod
    def of(cls, fleet: Fleet) -> "Counts":
        """Look at the broker, its Redis and WeCom."""
        found = fleet.brokers[0].process
        assert found
        spent = psutil.Process(found.pid).cpu_times()
        with Redis.from_url(fleet.redis.url) as redis:
            info = redis.info("everything")
        commands = sum(value["calls"] for key, value in info.items() if key.startswith("cmdstat_"))
        return cls(
            spent.user + spent.system,
            commands,
            info["total_net_input_bytes"] + info["total_net_output_bytes"],
            info["used_memory"],
            fleet.wecom.calls().get(CHILD_TOKEN, 0),
        )


async def _fetch_all(replica: Replica, numbers: range) -> None:
    turns = iter(numbers)

    async def fetch() -> None:
        for number in turns:
            await replica.token(child(number))

    await asyncio.gather(*(fetch() for _ in range(CALLERS)))


async def measure(folder: Path) -> dict[str, float]:
    """Return the costs of one child, by name."""
    with running_fleet(folder, 1, children=CHILDREN) as fleet:
        async with connect(fleet.brokers[0].address) as (replica,):
            await _fetch_all(replica, range(1, 101))
            before = await asyncio.to_thread(Counts.of, fleet)
            await _fetch_all(replica, range(101, CHILDREN + 1))
            after = await asyncio.to_thread(Counts.of, fleet)
    each = CHILDREN - 100
    return {
        "CPU of the broker, ms": (after.cpu_seconds - before.cpu_seconds) * 1000 / each,
        "commands of Redis": (after.commands - before.commands) / each,
        "bytes over Redis' network, kB": (after.redis_bytes - before.redis_bytes) / 1000 / each,
        "memory of Redis, kB": (after.stored_bytes - before.stored_bytes) / 1000 / each,
        "calls of WeCom": (after.wecom_calls - before.wecom_calls) / each,
    }


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        for name, value in asyncio.run(measure(Path(folder))).items():
            print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
