"""Events under a seal key that a replica lacks: set aside, and brought back by one that has the key."""

import json
from collections.abc import Mapping
from datetime import timedelta

from broker.adapters.storage.seal import Seal
from broker.domain.events.positions import EPOCH, MILLISECOND, milliseconds_of
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.store import Groups

PARKED = "parked-events"
WAITED_FOR = timedelta(days=7)
"""How long after its arrival an event is brought back by itself; after that an operator retries it."""
PAGE, PAGES = 500, 20
"""How many are looked at in one go."""


class ParkedEvents:
    """Remember, for the whole fleet, which dead events only lack a key. Names hold no more than positions."""

    def __init__(self, names: Groups, groups: EventGroups, seal: Seal) -> None:
        self._names = names
        self._groups = groups
        self._seal = seal

    async def park(self, app: str, group: str, key_of: Mapping[str, str]) -> None:
        """Set the events at these positions aside; each has the id of the key that sealed it.

        Raises `StoreUnavailable`.
        """
        await self._enlist(app, group, key_of)
        await self._groups.give_up(app, group, list(key_of))
        # Until they were given up, a replica that has the key struck the names: it found nothing dead.
        await self._enlist(app, group, key_of)

    async def _enlist(self, app: str, group: str, key_of: Mapping[str, str]) -> None:
        for position, key_id in key_of.items():
            arrived = EPOCH + milliseconds_of(position) * MILLISECOND
            await self._names.enlist(PARKED, json.dumps([app, group, position, key_id]), arrived + WAITED_FOR)

    async def bring_back(self) -> None:
        """Hand out again what this replica can open by now. Raises `StoreUnavailable`."""
        found = []
        for page in range(PAGES):
            names = await self._names.members(PARKED, page * PAGE, PAGE)
            found += names
            if len(names) < PAGE:
                break
        for name in found:
            match _read(name):
                case [str(app), str(group), str(position), str(key_id)]:
                    # A member that lacks the key may set it aside again: its name is struck a round later.
                    if self._seal.knows(key_id) and not await self._groups.retry(app, group, [position]):
                        await self._names.strike(PARKED, name)
                case _:
                    await self._names.strike(PARKED, name)


def _read(name: str) -> object:
    try:
        found = json.loads(name)
        # A lone surrogate can be written so, and stands for no character that a key may have.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found
