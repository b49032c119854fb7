"""Take all authorisations out of a store, and put them back: permanent codes are told once.

It works beside running brokers: what is put back is announced to them as any other change.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from collections.abc import Collection as Names
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum

from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection, Stored
from broker.domain.ports.store import Busy, Groups, Lease, Leases
from broker.domain.suites.authorization import Authorization, AuthorizationKey
from broker.usecases.suites.enlisted import AUTHORIZATIONS, Enlisted

LEASE_DURATION = timedelta(seconds=10)
LONGEST_WAIT = timedelta(seconds=15)
"""How long a forced write waits for brokers that change the same authorisation."""


class Restored(StrEnum):
    """What became of an authorisation that was put back."""

    WRITTEN = "written"
    """The store had none, or that of another suite with the name, which no broker of this one uses."""
    REPLACED = "replaced"
    """The store had an older one, or any other where that was forced."""
    UNCHANGED = "unchanged"
    """The store has it already."""
    KEPT_NEWER = "kept_newer"
    """The store has a newer one, which stays."""
    UNREADABLE = "unreadable"
    """The store has one that no configured key opens, as old or newer, which stays."""
    UNKNOWN_SUITE = "unknown_suite"
    """No suite of that name is configured, or another one."""
    BUSY = "busy"
    """Brokers went on changing it: try again."""


class AuthorizationBackup:
    """Read and write authorisations of the configured suites."""

    def __init__(
        self,
        suites: Names[str],
        authorizations: Collection[AuthorizationKey, Authorization],
        groups: Groups,
        leases: Leases,
        clock: Clock,
    ) -> None:
        self._suites = suites
        self._authorizations = authorizations
        self._leases = leases
        self._clock = clock
        self._found: list[Authorization] = []
        self._enlisted = Enlisted(AUTHORIZATIONS, suites, authorizations, self._keep, groups, clock)

    async def taken(self) -> list[Authorization]:
        """Return those that have a permanent code, by suite and corp. Raises `StoreUnavailable`."""
        self._found = []
        await self._enlisted.load()
        worth_keeping = {found.key: found for found in self._found if found.permanent_code}
        return [worth_keeping[key] for key in sorted(worth_keeping)]

    async def restore(self, saved: Authorization, *, force: bool) -> Restored:
        """Put one back unless the store has a newer one; with `force`, despite that.

        Brokers read at WeCom what the corp allows by now. Raises `StoreUnavailable`.
        """
        if saved.suite not in self._suites or not self._authorizations.is_current(saved):
            return Restored.UNKNOWN_SUITE
        stored = (await self._authorizations.load([saved.key])).get(saved.key)
        if stored and stored.value and _same(stored.value, saved):
            return Restored.UNCHANGED
        suite, corp_id = saved.key
        await self._enlisted.enlist(suite, corp_id)
        # That of another suite that had the name has a larger number where it was written later.
        if await self._authorizations.supplant(replace(saved, is_stale=True)):
            return Restored.WRITTEN if stored is None or stored.is_others else Restored.REPLACED
        if force:
            return await self._force(saved, stored)
        return Restored.UNREADABLE if stored and not stored.is_readable else Restored.KEPT_NEWER

    async def restore_all(
        self, saved: Sequence[Authorization], *, force: bool, at_once: int
    ) -> AsyncGenerator[list[tuple[Authorization, Restored]], None]:
        """Put them back, so many at a time; yield what became of each, so many at a time.

        Raises as `restore`, after it has yielded what was put back beside the failure.
        """
        for start in range(0, len(saved), at_once):
            batch = saved[start : start + at_once]
            restored = (self.restore(authorization, force=force) for authorization in batch)
            # None is left behind by the failure of another.
            outcomes = await asyncio.gather(*restored, return_exceptions=True)
            known = zip(batch, outcomes, strict=True)
            yield [(each, outcome) for each, outcome in known if isinstance(outcome, Restored)]
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def _force(self, saved: Authorization, stored: Stored[Authorization] | None) -> Restored:
        floor = max(saved.fence, stored.fence if stored else 0)
        deadline = self._clock.now() + LONGEST_WAIT
        while self._clock.now() < deadline:
            lease = await self._leases.acquire(self._authorizations.name_of(saved.key), LEASE_DURATION, floor)
            if isinstance(lease, Busy):
                await self._clock.sleep(lease.remaining)
            elif await self._commit(saved, lease):
                return Restored.REPLACED
        return Restored.BUSY

    async def _commit(self, saved: Authorization, lease: Lease) -> bool:
        written = replace(saved, fence=lease.fence, code_fence=lease.fence, is_stale=True)
        return await self._authorizations.commit(written, lease)

    async def _keep(self, found: Authorization) -> None:
        self._found.append(found)


def _same(stored: Authorization, saved: Authorization) -> bool:
    """Return whether they are one and the same, whenever it was written."""
    return stored.state is saved.state and stored.permanent_code == saved.permanent_code
