"""The auth_codes that the fleet took, and what became of each: in step with the other replicas."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from broker.domain.errors import CallerLimited
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Groups
from broker.domain.suites.installation import Installation, InstallationKey, InstallationState
from broker.domain.suites.suite import Suite
from broker.domain.suites.view import code_mark
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.suites.changes import Changes
from broker.usecases.suites.enlisted import INSTALLATIONS, Enlisted

MOST_OF_CALLERS = 200
"""How many codes that callers brought may be outstanding or lost for one suite: WeCom's pushes come first."""
ROOM_EVERY = timedelta(minutes=1)


class Installations:
    """Hold the codes of each suite that are outstanding or lost, and those done lately."""

    def __init__(
        self,
        *,
        suites: Mapping[str, Suite],
        installations: Collection[InstallationKey, Installation],
        groups: Groups,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._clock = clock
        self._suites = suites
        self._memory: defaultdict[str, dict[str, Installation]] = defaultdict(dict)
        self._unfinished: defaultdict[str, dict[str, Installation]] = defaultdict(dict)
        """Those that are open or lost: of a thousand codes, few are."""
        self.replicated: Replicated[InstallationKey, Installation] = Replicated(installations, self, clock)
        self.enlisted = Enlisted(
            INSTALLATIONS,
            suites,
            installations,
            self.replicated.adopt,
            groups,
            clock,
            held=self._kept_until,
        )

    def held(self) -> Iterable[InstallationKey]:
        """See `Copies.held`."""
        return [found.key for codes in self._memory.values() for found in codes.values()]

    def key_named(self, name: str) -> InstallationKey | None:
        """See `Copies.key_named`: every replica holds every code, new ones too."""
        kind, _, rest = name.partition(":")
        suite, _, code_hash = rest.partition(":")
        return (suite, code_hash) if kind == "installation" and suite in self._suites else None

    def get(self, key: InstallationKey) -> Installation | None:
        """See `Copies.get`."""
        suite, code_hash = key
        return self._memory.get(suite, {}).get(code_hash)

    async def adopt(self, value: Installation) -> None:
        """See `Copies.adopt`."""
        if value.suite not in self._suites:
            return
        codes = self._memory[value.suite]
        held = codes.get(value.code_hash)
        if held and held.fence >= value.fence:
            return
        if value.is_worth_sharing(self._clock.now()):
            self._put(value)
        else:
            self._forget(value.key)

    def drop(self, key: InstallationKey) -> None:
        """See `Copies.drop`."""
        self._forget(key)

    def forget_ended(self) -> None:
        """Forget those that the store has forgotten by now."""
        now = self._clock.now()
        for key in self.held():
            if (found := self.get(key)) and not found.is_worth_sharing(now):
                self._forget(key)

    def end(self, suite: str) -> None:
        """Forget whatever is held of a suite that is not configured any more."""
        self._memory.pop(suite, None)
        self._unfinished.pop(suite, None)

    def unfinished(self, suite: str) -> list[Installation]:
        """Return the suite's codes that are open or lost, in the order in which they were taken."""
        found = self._unfinished.get(suite, {})  # callers make up suites
        return sorted(found.values(), key=lambda each: (each.taken_at, each.code_hash))

    def done(self, suite: str) -> list[Installation]:
        """Return the suite's codes that became an authorisation lately."""
        return [
            found for found in self._memory.get(suite, {}).values() if found.state is InstallationState.DONE
        ]

    def outstanding(self, suite: str) -> list[Installation]:
        """Return those whose exchange is outstanding, in the order in which they were taken."""
        return [found for found in self.unfinished(suite) if found.is_open]

    def check_room(self, key: InstallationKey) -> None:
        """Return if a caller may bring this code, as one more. Raises `CallerLimited`."""
        if self.get(key):
            return
        suite, _ = key
        if sum(found.is_callers for found in self.unfinished(suite)) >= MOST_OF_CALLERS:
            problem = f"{MOST_OF_CALLERS} codes of callers are outstanding, or were lost in the last hour"
            raise CallerLimited(problem, ROOM_EVERY, limit="codes", app=suite)

    def waits(self, key: InstallationKey, problem: str) -> None:
        """Show why the exchange of a code does not come about; the code itself is as it was."""
        found = self.get(key)
        if found and found.is_open and found.problem != problem:
            self._put(replace(found, problem=problem))

    def _put(self, found: Installation) -> None:
        self._memory[found.suite][found.code_hash] = found
        if found.state is InstallationState.DONE:
            self._unfinished[found.suite].pop(found.code_hash, None)
        else:
            self._unfinished[found.suite][found.code_hash] = found
        self._changes.tell(found.suite, code_mark(found.code_hash))

    def _forget(self, key: InstallationKey) -> None:
        suite, code_hash = key
        self._memory[suite].pop(code_hash, None)
        self._unfinished[suite].pop(code_hash, None)
        self._changes.tell(suite, code_mark(code_hash))

    def _kept_until(self, suite: str) -> dict[str, datetime]:
        return {code_hash: found.kept_until for code_hash, found in self._memory[suite].items()}


class LostCodes:
    """Settle lost codes: they are kept, so that none is sent again, and shown no more.

    No code names its corp (wecom-api C4), so the next installation may be another corp's, and settles
    nothing. But a corp that cancels, or whose secret is reset, without an authorisation here had installed
    the app with a lost code.
    """

    def __init__(self, installations: Installations, fleet: LeasedFlight) -> None:
        self._installations = installations
        self._fleet = fleet

    async def acknowledge(self, suite: str) -> int:
        """Settle all of a suite because an operator says so; return how many. Raises `StoreUnavailable`."""
        lost = self._of(suite)
        for found in lost:
            await self._settle(found.key)
        return len(lost)

    async def settle_one(self, suite: str, taken_until: datetime) -> None:
        """Settle the oldest that was taken until then: one of them was this corp's.

        Raises `StoreUnavailable`.
        """
        for found in self._of(suite):
            if found.taken_at <= taken_until:
                await self._settle(found.key)
                return

    def _of(self, suite: str) -> list[Installation]:
        return [found for found in self._installations.unfinished(suite) if found.is_lost]

    async def _settle(self, key: InstallationKey) -> None:
        copies, held = self._installations.replicated, self._installations.get(key)
        above = held.fence if held else 0
        turns = self._fleet.turns(copies, key, stage="installation", above=above, allow_offline=False)
        async with aclosing(turns):
            async for turn in turns:
                if turn.lease is None:
                    continue
                found = turn.stored or self._installations.get(key)
                if found is None or not found.is_lost:
                    return
                settled = replace(found, fence=turn.lease.fence, is_settled=True)
                if await copies.publish(key, settled, turn.lease):
                    return
