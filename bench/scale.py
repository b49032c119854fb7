"""Carry the measured costs of one child to fleets of any size: the tables of `docs/scale.md`.

`python -m bench.item_costs` and the benchmarks measure `MEASURED`, `python -m bench.waves` gives `DAY`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

SIZES = (1_000, 10_000, 100_000, 1_000_000)
LIFE_MINUTES = 120
RENEWED_AT = 0.84
"""The share of its life after which a token is renewed, on average."""
PEAK = 3
"""How much above the mean a minute may be: `DAY` shows less."""

CORP_A_MINUTE, CORP_AN_HOUR = 10_000, 150_000
"""wecom-api E: one corp, one API."""
IP_A_MINUTE, IP_AN_HOUR = 20_000, 600_000
"""wecom-api E: one IP, one API."""

USABLE_CORE = 0.5
"""The share of its core that a replica may spend on this; the rest is for callers."""
REDIS_COMMANDS_A_SECOND = 20_000
"""What one Redis server does without haste, among other things."""
REPLICA_GB = 4
WATCHES = 20_000
PARENT, ADDRESS = "another parent corp", "another egress address"


@dataclass(frozen=True)
class Costs:
    """What one child costs, with one credential."""

    refresh_cpu_ms: float
    scan_us_a_second: float
    """What each replica spends each second on each credential that it holds: it counts and forgets."""
    memory_kb: float
    redis_commands: float
    redis_kb: float
    redis_memory_kb: float
    wecom_calls: float
    watcher_kb: float


@dataclass(frozen=True)
class Day:
    """Refreshes a minute of a day with a restart, 15 min without WeCom and 10 min without the store."""

    mean: float
    peak: int
    peak_without_pace: int


MEASURED = Costs(
    refresh_cpu_ms=2.75,
    scan_us_a_second=0.03,
    memory_kb=2.0,
    redis_commands=34,
    redis_kb=2.7,
    redis_memory_kb=0.7,
    wecom_calls=1.0,
    watcher_kb=26.0,
)
DAY = Day(mean=6.0, peak=15, peak_without_pace=95)


@dataclass(frozen=True)
class Fleet:
    """What so many children of one app need."""

    children: int
    costs: Costs = MEASURED

    @property
    def a_minute(self) -> float:
        """Return the mean number of refreshes a minute."""
        return self.children / (LIFE_MINUTES * RENEWED_AT)

    @property
    def refresh_cores(self) -> float:
        """Return what all refreshes take, of one core."""
        return self.a_minute / 60 * self.costs.refresh_cpu_ms / 1000

    @property
    def scan_cores(self) -> float:
        """Return what each replica that holds all children takes for its scans, of one core."""
        return self.children * self.costs.scan_us_a_second / 1e6

    @property
    def replicas(self) -> int:
        """Return how many replicas do the refreshes, two at least: one may stop."""
        room = USABLE_CORE - self.scan_cores
        return max(2, ceil(PEAK * self.refresh_cores / room) + 1) if room > 0 else 0

    @property
    def commands_a_second(self) -> float:
        """Return how many commands Redis gets at the peak."""
        return PEAK * self.a_minute / 60 * self.costs.redis_commands

    @property
    def shards(self) -> int:
        """Return how many Redis servers do that."""
        return max(1, ceil(self.commands_a_second / REDIS_COMMANDS_A_SECOND))

    @property
    def memory_gb(self) -> float:
        """Return the memory of a replica that holds all of them."""
        return self.children * self.costs.memory_kb / 1e6

    @property
    def fill_minutes(self) -> float:
        """Return how long the first fetch of all takes, at WeCom's limits."""
        in_minutes, in_hours = self.children / CORP_A_MINUTE, self.children / CORP_AN_HOUR * 60
        return in_minutes if self.children <= CORP_AN_HOUR else in_hours


Table = Callable[[], str]


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fleets() -> str:
    """Return the table of sizes."""
    head = ("children", "refreshes a minute: mean, peak", "of a core: refreshes, scans of each replica")
    head += (
        "replicas",
        "memory of a replica",
        "Redis: commands/s at the peak, memory, shards",
        "first fetch of all",
    )
    return table(head, (_fleet(Fleet(size)) for size in SIZES))


def _fleet(of: Fleet) -> tuple[str, ...]:
    stored = of.children * of.costs.redis_memory_kb / 1000
    return (
        f"{of.children:,}",
        f"{of.a_minute:,.0f}, {PEAK * of.a_minute:,.0f}",
        f"{of.refresh_cores:.1%}, {of.scan_cores:.1%}",
        str(of.replicas) if of.replicas else "not by one loop",
        f"{of.memory_gb:,.2f} GB",
        f"{of.commands_a_second:,.0f}, {stored:,.0f} MB, {of.shards}",
        f"{of.fill_minutes:,.1f} min",
    )


def limits() -> str:
    """Return where each limit lies, the first one first."""
    minutes = LIFE_MINUTES * RENEWED_AT
    cpu = MEASURED
    found = [
        (
            "WeCom: 150,000 calls an hour, one corp and API",
            CORP_AN_HOUR / 60 * minutes,
            "another parent corp",
        ),
        (
            "WeCom: 10,000 calls a minute, one corp and API, at the peak",
            CORP_A_MINUTE * minutes / PEAK,
            "the same",
        ),
        ("WeCom: 600,000 calls an hour, one IP and API", IP_AN_HOUR / 60 * minutes, "another egress address"),
        (
            "WeCom: 20,000 calls a minute, one IP and API, at the peak",
            IP_A_MINUTE * minutes / PEAK,
            "the same",
        ),
        (
            "one loop's CPU: scans of all that one replica holds",
            USABLE_CORE * 1e6 / cpu.scan_us_a_second,
            "fleets of their own for some apps",
        ),
        ("memory of one replica (4 GB)", REPLICA_GB * 1e6 / cpu.memory_kb, "memory, or fleets of their own"),
        (
            "one Redis server, commands at the peak",
            REDIS_COMMANDS_A_SECOND / cpu.redis_commands * 60 * minutes / PEAK,
            "shards",
        ),
    ]
    rows = ((name, f"{int(most):,}", remedy) for name, most, remedy in sorted(found, key=lambda row: row[1]))
    return table(("limit", "children of one app", "what an operator adds"), rows)


def costs() -> str:
    """Return the table of what was measured."""
    of = MEASURED
    rows = [
        ("CPU of one refresh (gRPC, engine, HTTPS, Redis)", f"{of.refresh_cpu_ms:.2f} ms"),
        (
            "CPU of each replica for each credential that it holds, each second",
            f"{of.scan_us_a_second:.2f} µs",
        ),
        ("memory of a replica, the share list included", f"{of.memory_kb:.0f} kB"),
        ("commands of Redis for one refresh, those inside scripts included", f"{of.redis_commands:.0f}"),
        ("bytes to and from Redis for one refresh", f"{of.redis_kb:.1f} kB"),
        ("memory of Redis", f"{of.redis_memory_kb:.1f} kB"),
        ("calls of WeCom for one refresh", f"{of.wecom_calls:.0f}"),
        ("memory of a replica for one open watch", f"{of.watcher_kb:.0f} kB"),
        ("open watches of one replica, so that a rotation reaches all within 7 s", f"{WATCHES:,}"),
    ]
    return table(("of one child", "measured"), iter(rows))


def waves() -> str:
    """Return the table of the simulated day."""
    rows = [
        ("mean", f"{DAY.mean:.1f}", "1"),
        ("peak", str(DAY.peak), f"{DAY.peak / DAY.mean:.1f}"),
        ("peak without a pace", str(DAY.peak_without_pace), f"{DAY.peak_without_pace / DAY.mean:.1f}"),
    ]
    return table(("refreshes a minute", "of 600 children", "times the mean"), iter(rows))


def main() -> None:
    """Print the tables."""
    for print_table in (costs, fleets, limits, waves):
        print(print_table(), end="\n\n")


if __name__ == "__main__":
    main()
