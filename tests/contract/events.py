"""Events, and members of groups, to test with."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from broker.domain.events.log import Delivery, Entry, Lag, Member, Retention
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from tests.contract.making import LONG
from tests.contract.waiting import eventually

APP = "crm"
GROUP = "orders"
KEEP = Retention(timedelta(days=1), 100_000)
BRIEF = timedelta(milliseconds=50)
ANA = Member(
    APP, GROUP, "ana", frozenset(), max_in_flight=100, ack_timeout=LONG, alive_for=LONG, max_attempts=3
)
BEN = replace(ANA, name="ben")
CLEO = replace(ANA, name="cleo")

keys = count()


async def appended(log: EventLog, text: str, **changes: Any) -> list[str]:
    """Append an event for each word, "<corp><payload>" as in "a1 a2 b1"; return their places."""
    return [await append(log, word[0], word.encode(), **changes) for word in text.split()]


async def append(
    log: EventLog,
    corp_id: str = "a",
    payload: bytes = b"a1",
    *,
    event_type: str = "text",
    app: str = APP,
    keep: Retention = KEEP,
    notify: Sequence[str] = (),
) -> str:
    """Append an event that was never appended before; return its place."""
    entry = Entry(app, corp_id, event_type, payload)
    return await log.append(entry, key=f"key-{next(keys)}", once_in=LONG, keep=keep, notify=notify)


def words(found: Iterable[Delivery | Entry]) -> str:
    """Return the payloads, as `appended` takes them."""
    entries = [one.event if isinstance(one, Delivery) else one for one in found]
    return " ".join(entry.payload.decode() for entry in entries)


def positions(deliveries: Iterable[Delivery]) -> list[str]:
    """Return where they are."""
    return [delivery.event.position for delivery in deliveries]


async def takes(log: EventLog, member: Member, **changes: Any) -> str:
    """Return what the member takes, as words."""
    return words(await log.claim(replace(member, **changes)))


async def takes_all(log: EventLog, member: Member) -> list[Delivery]:
    """Return all that the member may have; a log may hand it out in parts."""
    claimed: list[Delivery] = []
    while deliveries := await log.claim(member):
        claimed += deliveries
    return claimed


async def gets_in_time(log: EventLog, member: Member, **changes: Any) -> list[Delivery]:
    """Return what the member takes as soon as there is something."""
    return await eventually(lambda: log.claim(replace(member, **changes)))


async def lag(groups: EventGroups, group: str = GROUP) -> Lag:
    """Return the lag of a group, which must be known."""
    [found] = [lag for lag in await groups.lags(APP) if lag.group == group]
    return found
