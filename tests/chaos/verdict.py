"""What a cell must show: nothing warm fails, nothing is lost, and WeCom is asked no more than allowed."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.load import ANSWERED_WITHIN, Seen
from tests.chaos.world import World
from tests.kit.machine import nap
from tests.kit.processes.fleet import Replica, connect
from tests.kit.processes.suites import ACTIVE, authorizations

COHERENT_WITHIN = 20.0
"""Seconds. A failover takes two; the rest is for what brokers remember of an outage, and a busy machine."""
PROMPT = 0.05
REPLICATED = "wecom_broker_replicated_writes_total"


@dataclass(frozen=True)
class Verdict:
    """The row of the table."""

    cell: str
    seed: int
    seen: Seen
    upstream: int
    bound: int
    codes: int
    codes_lost: int
    unproven: int
    """Writes of events and codes that counted though no replica had them in time: brokers told so."""
    coherent: float | None
    """Seconds after the fault ended; None if never."""
    incoherent: str = ""

    @property
    def events_lost(self) -> int:
        return len(self.seen.accepted - self.seen.handled)

    @property
    def problems(self) -> Sequence[str]:
        """Return what is not as promised."""
        told = f"{self.unproven} writes told as unproven"
        checks = {
            f"warm calls failed: {_counts(self.seen.warm.failed)}": not self.seen.warm.failed,
            f"page signatures failed: {_counts(self.seen.pages.failed)}": not self.seen.pages.failed,
            f"{self.upstream} calls to WeCom, {self.bound} are allowed": self.upstream <= self.bound,
            f"{self.events_lost} events lost, {told}": self.events_lost <= self.unproven,
            f"{self.codes_lost} permanent codes lost, {told}": self.codes_lost <= self.unproven,
            f"not coherent within {COHERENT_WITHIN:.0f} s: {self.incoherent}": self.coherent is not None,
            "no load: the cell shows nothing": self._is_loaded,
        }
        return [problem for problem, is_so in checks.items() if not is_so]

    @property
    def _is_loaded(self) -> bool:
        return bool(self.seen.warm.made and self.seen.pages.made and self.seen.accepted and self.codes)


def unproven(world: World) -> int:
    """Return how many writes the brokers told of, for which no replica vouched."""
    found = 0.0
    for broker in world.brokers:
        for outcome in ("late", "unproven"):
            lines = re.findall(rf'^{REPLICATED}{{outcome="{outcome}"}} (.*)$', broker.metrics(), re.MULTILINE)
            found += sum(map(float, lines))
    return int(found)


async def coherent_after(world: World, seen: Seen) -> tuple[float | None, str]:
    """Wait until replicas agree and nothing is outstanding; return the seconds, and what was wrong last."""
    began = time.monotonic()
    wrong = ""
    async with connect(*(broker.address for broker in world.brokers)) as replicas:
        while (waited := time.monotonic() - began) < COHERENT_WITHIN:
            wrong = await _incoherence(world, replicas, seen)
            if not wrong:
                return waited, ""
            began += await nap(PROMPT)  # what others keep the machine busy with does not count
    return None, wrong


async def _incoherence(world: World, replicas: Sequence[Replica], seen: Seen) -> str:
    """Return what is not yet as it was, or ""."""
    asked = sorted(seen.asked)
    found = await asyncio.gather(
        *(replica.token(corp_id, timeout=ANSWERED_WITHIN) for corp_id in asked for replica in replicas),
        return_exceptions=True,
    )
    errors = [error for error in found if isinstance(error, BaseException)]
    if errors:
        return f"{len(errors)} of {len(found)} calls fail, one with {errors[0]}"
    values = [getattr(token, "value", "") for token in found]
    apart = [
        corp_id
        for place, corp_id in enumerate(asked)
        if len(set(values[place * len(replicas) : (place + 1) * len(replicas)])) > 1
    ]
    if apart:
        return f"replicas differ on {len(apart)} tokens"
    if left := seen.accepted - seen.handled:
        return f"{len(left)} events are not handled"
    if lacking := await _lacking_codes(world, replicas):
        return f"{lacking} authorisations are not active"
    return ""


def exchanged(world: World) -> set[str]:
    """Return the corps whose permanent code WeCom handed out."""
    return {row["corpid"] for row in world.console.authorizations() if row["active"] and row["exchanged"]}


async def lost_codes(world: World, replicas: Sequence[Replica]) -> int:
    """Return how many of these some replica still lacks in the end: one may just be on its way there."""
    began = time.monotonic()
    while lacking := await _lacking_codes(world, replicas):
        if time.monotonic() - began > COHERENT_WITHIN:
            return lacking
        began += await nap(PROMPT)
    return 0


async def _lacking_codes(world: World, replicas: Sequence[Replica]) -> int:
    """Return how many of these some replica does not have now."""
    told = exchanged(world)
    missing: set[str] = set()
    for replica in replicas:
        rows = await authorizations(replica.of("market"))
        missing |= told - {row.corp_id for row in rows if row.state == ACTIVE}
    return len(missing)


def _counts(failed: Counter[str]) -> str:
    return ", ".join(f"{number} × {reason}" for reason, number in failed.most_common())
