"""How another caller fares under an attack: quiet and attacked slices in turn, and a verdict.

`make test` runs a short form of some attacks, on a machine that runs other tests too. There a broker's
latency says little: it is printed, and a call that is not answered in time has failed. `make attacks` sets
STRICT and SLICES, and runs one attack after the other: the 99th percentile may be at most three times that of
quiet slices. Of several slices the median counts, so that one stall of the machine does not decide.
"""

import multiprocessing
import os
import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.integration.attacks.attacker import Attack
from tests.integration.attacks.ground import STRICT, Ground, answer_from
from tests.integration.attacks.neighbour import Sample

SLICES = int(os.environ.get("SLICES", "1"))
QUIET_SECONDS, ATTACKED_SECONDS = (3.0, 3.0) if STRICT else (0.3, 1.7)
ONSET_SECONDS, REST_SECONDS = (1.0, 1.0) if STRICT else (0.5, 0.3)
"""Before an attack is judged, and before the next quiet slice."""
LONGEST_REST = 5 if STRICT else 1
"""So often a rest may last, until warm calls are about as quick as before."""
LOGGED_IN_SECONDS = 5.0
"""A line a second is meant over so long, at least."""
TIMES = 3.0
"""By how much the 99th percentile may grow."""
LOOK_SECONDS = 0.05


def tried(attacks: Iterable[str], *short: str) -> list[str]:
    """Return the attacks that are made: all in `make attacks`, else the first, or those that are named."""
    names = list(attacks)
    return names if STRICT else list(short or names[:1])


@dataclass(frozen=True)
class Verdict:
    """What an attack did to others."""

    quiet_p99: float
    attacked_p99: float
    twin_quiet_p99: float
    twin_attacked_p99: float
    longest_at_onset: float
    """The slowest warm call of the first second of an attack: what comes at once is answered in turn."""
    longest_other: float
    """The slowest of what the neighbour did besides warm calls."""
    failures: list[str]
    upstream: Mapping[str, int]
    """Calls of WeCom by path, without those of the neighbour."""
    lines: Sequence[str]
    """Logged by the attacked broker."""
    seconds: float
    """How long the attacks lasted together."""
    megabytes: float
    """By how much memory grew at most."""
    processor: float
    """The share of one processor that the broker used while it was attacked."""
    done: Mapping[str, int] = field(default_factory=dict)
    """What the attacker did."""

    @property
    def times(self) -> float:
        """Return by how much the attack slowed warm calls down; what slowed the twin too was the machine."""
        return self.attacked_p99 / self.quiet_p99 / max(1.0, self.twin_attacked_p99 / self.twin_quiet_p99)

    def check(self, upstream: Mapping[str, int] | None = None, times: float = TIMES) -> None:
        """Fail unless others hardly noticed; WeCom may have been asked this often beyond what they asked."""
        assert [] == self.failures, self.failures
        allowed = upstream or {}
        beyond = {path: count for path, count in self.upstream.items() if count > allowed.get(path, 0)}
        assert {} == beyond, beyond
        assert len(self.lines) <= max(self.seconds, LOGGED_IN_SECONDS), self.lines
        if STRICT:
            assert self.times <= times, self

    def figures(self) -> dict[str, Any]:
        """Return what to show of it."""
        return {
            "quiet_ms": self.quiet_p99 * 1e3,
            "attacked_ms": self.attacked_p99 * 1e3,
            "times": self.times,
            "twin_ms": f"{self.twin_quiet_p99 * 1e3:.3g} then {self.twin_attacked_p99 * 1e3:.3g}",
            "onset_ms": self.longest_at_onset * 1e3,
            "slowest_other_s": self.longest_other,
            "failed": len(self.failures),
            "upstream": sum(self.upstream.values()),
            "lines_a_second": len(self.lines) / self.seconds,
            "megabytes": self.megabytes,
            "processor": self.processor,
            "done": " ".join(f"{what} {count}" for what, count in sorted(self.done.items())),
        }


def trial(ground: Ground, attack: Attack, *, connects_anew: bool = True) -> Verdict:
    """Run the attack in slices, and judge it by what the neighbour saw."""
    quiet, onset, attacked, rest = Slices(), Slices(), Slices(), Slices()
    done: Counter[str] = Counter()
    upstream: Counter[str] = Counter()
    lines: list[str] = []
    processor = 0.0

    def look(slices: "Slices", seconds: float) -> None:
        ground.neighbour.send((seconds, connects_anew))
        sample = answer_from(ground.neighbour)
        assert isinstance(sample, Sample)
        slices.samples.append(sample)

    if STRICT:
        _pin(ground)
    before = _memory(ground)
    with _watched(lambda: _memory(ground)) as most:
        for _ in range(SLICES):
            look(quiet, QUIET_SECONDS)
            logged = len(ground.lines())
            processor -= _processor_seconds(ground)
            upstream.subtract(ground.wecom.calls())
            ground.attacker.send(attack)
            look(onset, ONSET_SECONDS)
            assert "begun" == answer_from(ground.attacker)
            look(attacked, ATTACKED_SECONDS)
            ground.attacker.send(None)
            done += _done(ground)
            upstream.update(ground.wecom.calls())
            processor += _processor_seconds(ground)
            lines += ground.lines()[logged:]
            for _ in range(LONGEST_REST):
                look(rest, REST_SECONDS)
                if Slices(rest.samples[-1:]).p99() <= TIMES * Slices(quiet.samples[:1]).p99():
                    break
    for sample in (onset, attacked):
        upstream.subtract(sample.asked)
    seconds = SLICES * (ONSET_SECONDS + ATTACKED_SECONDS)
    return Verdict(
        quiet.p99(),
        attacked.p99(),
        quiet.p99(of_twin=True),
        attacked.p99(of_twin=True),
        onset.longest,
        attacked.longest_other,
        quiet.failures + onset.failures + attacked.failures + rest.failures,
        {path: count for path, count in upstream.items() if count},
        lines,
        seconds,
        (most[0] - before) / 1e6,
        processor / seconds,
        done,
    )


@dataclass(frozen=True)
class Slices:
    """What the neighbour saw in the slices of one sort."""

    samples: list[Sample] = field(default_factory=list)

    def p99(self, *, of_twin: bool = False) -> float:
        """Return how long all but the slowest hundredth of warm calls took; of a slice in the middle."""
        return statistics.median(
            sorted(seconds)[int(0.99 * (len(seconds) - 1))] if seconds else float("inf")
            for seconds in (found.twin_seconds if of_twin else found.seconds for found in self.samples)
        )

    @property
    def longest(self) -> float:
        """Return how long the slowest warm call took."""
        return max((seconds for found in self.samples for seconds in found.seconds), default=0.0)

    @property
    def longest_other(self) -> float:
        """Return how long the slowest other call took."""
        return max((seconds for found in self.samples for seconds in found.other_seconds), default=0.0)

    @property
    def failures(self) -> list[str]:
        """Return what failed."""
        return [failure for found in self.samples for failure in found.failures]

    @property
    def asked(self) -> Counter[str]:
        """Return what the neighbour had WeCom asked."""
        return sum((found.asked for found in self.samples), Counter())


def _done(ground: Ground) -> Counter[str]:
    done = answer_from(ground.attacker)
    assert isinstance(done, Counter), done
    return done


@contextmanager
def _watched(look: Callable[[], int]) -> Iterator[list[int]]:
    """Yield a list whose only number is the most that was seen inside the block."""
    most, over = [look()], threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            most[0] = max(most[0], look())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _of(ground: Ground) -> psutil.Process:
    assert ground.broker.process
    return psutil.Process(ground.broker.process.pid)


def _memory(ground: Ground) -> int:
    return int(_of(ground).memory_info().rss)


def _processor_seconds(ground: Ground) -> float:
    times = _of(ground).cpu_times()
    return float(times.user + times.system)


def _pin(ground: Ground) -> None:
    """Give the attacked broker a processor, and all others of the trial another one."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return
    assert ground.twin.process
    others = [ground.twin.process.pid, *(child.pid for child in multiprocessing.active_children())]
    for process, share in ((_of(ground).pid, cpus[-1:]), *((other, cpus[:-1]) for other in others)):
        for thread in psutil.Process(process).threads():
            os.sched_setaffinity(thread.id, share)
