"""The corps that authorised each suite: all of them in memory, in step with the other replicas."""

import asyncio
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from broker.domain.errors import (
    BrokerError,
    CorpNotAuthorized,
    InvalidRequest,
    ReauthorizationRequired,
    SecretRejected,
    StoreUnavailable,
)
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Groups
from broker.domain.ports.suite_observer import SuiteObserver
from broker.domain.suites.authorization import Authorization, AuthorizationKey, AuthorizationState
from broker.domain.suites.suite import Suite
from broker.domain.suites.view import corp_mark
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.suites.changes import Changes
from broker.usecases.suites.enlisted import AUTHORIZATIONS, FOREVER, Enlisted

LOADED_WITHIN = timedelta(seconds=2)
"""How long a request waits for a replica that has just started."""
DETAILED_WITHIN_SECONDS = 3.0
"""How long a request waits for the agents of a corp that authorised a moment ago."""
Change = Callable[[Authorization | None], Authorization | None]
"""Returns what the present authorisation becomes, None to leave it as it is. The fence is set afterwards."""


class Authorizations:
    """Hold every authorisation in the store, cancelled ones too: those without their secrets."""

    def __init__(
        self,
        *,
        suites: Mapping[str, Suite],
        authorizations: Collection[AuthorizationKey, Authorization],
        groups: Groups,
        fleet: LeasedFlight,
        changes: Changes,
        clock: Clock,
        observer: SuiteObserver,
        evict: Callable[[Authorization], None],
    ) -> None:
        self._authorizations = authorizations
        self._fleet = fleet
        self._changes = changes
        self._clock = clock
        self._observer = observer
        self._evict = evict
        self._suites = suites
        self._memory: defaultdict[str, dict[str, Authorization]] = defaultdict(dict)
        self._corp_ids: defaultdict[str, list[str]] = defaultdict(list)
        """In their order, so that ten thousand are not sorted again and again."""
        self._corps_of_codes: dict[tuple[str, str], str] = {}
        self._permission_ends: dict[AuthorizationKey, list[datetime]] = {}
        self.stale: dict[AuthorizationKey, None] = {}
        """Those whose details must be read, or whose leftovers must be removed."""
        self.version = 0
        """Grows whenever one changes: earlier results may be out of date."""
        self.replicated: Replicated[AuthorizationKey, Authorization] = Replicated(authorizations, self, clock)
        self.enlisted = Enlisted(
            AUTHORIZATIONS,
            suites,
            authorizations,
            self.replicated.adopt,
            groups,
            clock,
            held=self._kept_until,
        )

    # --- copies

    def held(self) -> Iterable[AuthorizationKey]:
        """See `Copies.held`."""
        return [found.key for corps in self._memory.values() for found in corps.values()]

    def key_named(self, name: str) -> AuthorizationKey | None:
        """See `Copies.key_named`: every replica holds every authorisation, new ones too."""
        kind, _, rest = name.partition(":")
        suite, _, corp_id = rest.partition(":")
        return (suite, corp_id) if kind == "authorization" and suite in self._suites else None

    def get(self, key: AuthorizationKey) -> Authorization | None:
        """See `Copies.get`."""
        suite, corp_id = key
        return self._memory.get(suite, {}).get(corp_id)

    async def adopt(self, value: Authorization) -> None:
        """Hold it unless a newer one is held; drop at once the credentials of one that is cancelled."""
        if value.suite not in self._suites:
            return
        corps = self._memory[value.suite]
        held = corps.get(value.corp_id)
        given = value
        value = held.reconciled(given) if held else given
        if value == held or value.has_ended(self._clock.now()):
            return
        if value.fence > given.fence:
            # The others lack the permanent code that is held here.
            self.replicated.look_again([value.key])
        if held is None:
            insort(self._corp_ids[value.suite], value.corp_id)
        self._forget_about(held)
        corps[value.corp_id] = value
        if value.code_hash:
            self._corps_of_codes[value.suite, value.code_hash] = value.corp_id
        if ends := value.permission_ends:
            self._permission_ends[value.key] = ends
        self.version += 1
        if value.is_stale:
            self.stale[value.key] = None
        else:
            self.stale.pop(value.key, None)
        if held and value.state is AuthorizationState.CANCELLED:
            self._evict(held)
        self._changes.tell(value.suite, corp_mark(value.corp_id))

    def drop(self, key: AuthorizationKey) -> None:
        """See `Copies.drop`: a cancelled one is kept as such."""

    async def forget_ended(self) -> None:
        """Forget cancelled ones once their records have ended. Raises `StoreUnavailable`."""
        now = self._clock.now()
        for suite, corps in list(self._memory.items()):
            for found in [found for found in corps.values() if found.has_ended(now)]:
                async with self._fleet.alone(self.replicated.name_of(found.key)):
                    # Under the lease of its changes: the corp may come back at this moment.
                    await self.replicated.look(found.key)
                    if corps.get(found.corp_id) is found:
                        await self.enlisted.strike(suite, found.corp_id)
                        del corps[found.corp_id]
                        self._corp_ids[suite].remove(found.corp_id)
                        self._forget_about(found)
                        self.version += 1
                        self._changes.tell(suite, corp_mark(found.corp_id))

    def end(self, suite: str) -> None:
        """Forget whatever is held of a suite that is not configured any more."""
        for found in self._memory.pop(suite, {}).values():
            self._forget_about(found)
            self.stale.pop(found.key, None)
        self._corp_ids.pop(suite, None)
        self.version += 1

    def _forget_about(self, held: Authorization | None) -> None:
        if held:
            self._permission_ends.pop(held.key, None)
            self._corps_of_codes.pop((held.suite, held.code_hash), None)

    def _kept_until(self, suite: str) -> dict[str, datetime]:
        now = self._clock.now()
        return {
            corp_id: FOREVER for corp_id, found in self._memory[suite].items() if not found.has_ended(now)
        }

    # --- questions

    async def find(self, suite: Suite, corp_id: str) -> Authorization:
        """Return the corp's authorisation. Raises `CorpNotAuthorized`, also for a cancelled one."""
        found = self._memory[suite.name].get(corp_id)
        if found is None:
            # This replica may have started a moment ago, or have missed a notice.
            found = await self.replicated.look((suite.name, corp_id))
        if found is None:
            raise CorpNotAuthorized("this corp has not authorised the app", app=suite.name, corp_id=corp_id)
        if found.state is AuthorizationState.CANCELLED:
            raise CorpNotAuthorized("this corp cancelled the app", app=suite.name, corp_id=corp_id)
        return found

    async def usable(self, suite: Suite, corp_id: str) -> Authorization:
        """Return the corp's authorisation if calls may be made with it. Raises `ReauthorizationRequired`."""
        found = await self.find(suite, corp_id)
        if not found.is_usable:
            raise ReauthorizationRequired(
                found.problem or "the corp must authorise the app again", app=suite.name, corp_id=corp_id
            )
        return found

    async def newest(self, known: Authorization) -> Authorization:
        """Return what the store has by now; what is known if it cannot be asked."""
        with suppress(StoreUnavailable):
            await self.replicated.look(known.key)
        return self.get(known.key) or known

    async def loaded(self) -> None:
        """Return once all that the store has is in memory. Raises `StoreUnavailable` after a moment."""
        await self.enlisted.wait_until_loaded(LOADED_WITHIN)

    async def detailed(self, found: Authorization) -> Authorization:
        """Return it with its agents; if the corp authorised a moment ago, wait until they are read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DETAILED_WITHIN_SECONDS), aclosing(self.watch(found.suite)) as changes:
                async for _ in changes:
                    found = self.get(found.key) or found
                    if found.agents or not found.is_stale:
                        break
        return found

    async def sole(self, suite: Suite) -> Authorization:
        """Return the only usable authorisation.

        Raises `CorpNotAuthorized`, `InvalidRequest`, and as `loaded`.
        """
        await self.loaded()
        usable = [found for found in self.of(suite.name) if found.is_usable]
        if not usable:
            raise CorpNotAuthorized("no corp has authorised the app", app=suite.name)
        if len(usable) > 1:
            raise InvalidRequest("corp_id", "is needed: more than one corp has authorised the app")
        return usable[0]

    def of(self, suite: str, after: str = "") -> list[Authorization]:
        """Return the suite's authorisations that are held, by corp id; only those after the given one."""
        corps, corp_ids = self._memory[suite], self._corp_ids[suite]
        return [corps[corp_id] for corp_id in corp_ids[bisect_right(corp_ids, after) :]]

    def next_permission_end(self, suite: str) -> datetime | None:
        """Return when the first permission of any corp ends; those that have ended do not count."""
        now = self._clock.now()
        ends = (
            end for key, corp in self._permission_ends.items() if key[0] == suite for end in corp if end > now
        )
        return min(ends, default=None)

    def came_of(self, suite: str, code_hash: str) -> Authorization | None:
        """Return the authorisation that the code was exchanged for."""
        corp_id = self._corps_of_codes.get((suite, code_hash))
        return self._memory[suite].get(corp_id) if corp_id else None

    def watch(self, suite: str) -> AsyncGenerator[set[str], None]:
        """Yield at once, and after each change; see `Changes.follow`."""
        return self._changes.follow(suite)

    # --- changes

    async def change(
        self, key: AuthorizationKey, change: Change, *, allow_offline: bool = True
    ) -> Authorization | None:
        """Write what `change` makes of the present authorisation, under its lease; return what holds now.

        The lease is held for a moment only: `change` must not call WeCom. Raises `StoreUnavailable` unless it
        may be written later.
        """
        suite, corp_id = key
        held = self.get(key)
        above = held.fence if held else 0
        turns = self._fleet.turns(
            self.replicated, key, stage="authorization", above=above, allow_offline=allow_offline
        )
        async with aclosing(turns):
            async for turn in turns:
                if turn.lease is None:
                    continue
                present = turn.stored or self.get(key)
                changed = change(present)
                if changed is None:
                    return self.get(key)
                with suppress(*([StoreUnavailable] if allow_offline else [])):
                    await self.enlisted.enlist(suite, corp_id)
                changed = replace(changed, fence=turn.lease.fence, updated_at=self._clock.now())
                if present is None or present.permanent_code != changed.permanent_code:
                    changed = replace(changed, code_fence=changed.fence)
                if allow_offline:
                    is_written = await self.replicated.publish(key, changed, turn.lease)
                elif is_written := await self._authorizations.commit(changed, turn.lease):
                    await self.replicated.adopt(changed)
                if is_written:
                    if present is None or present.state is not changed.state:
                        self._observer.authorization_changed(suite, corp_id, changed.state, changed.problem)
                    return changed
        raise AssertionError("turns end only when they are closed")

    async def refuse(self, refused: Authorization, error: BrokerError) -> None:
        """Record that WeCom no longer takes the permanent code; nothing is called with it any more."""

        def refuse(present: Authorization | None) -> Authorization | None:
            if present is None or present.permanent_code is None:
                return None
            if present.permanent_code != refused.permanent_code:
                return None
            # An event that came meanwhile may mean that it works again; the children are not what is refused.
            is_stale = present.is_stale and (present.fence != refused.fence or present.are_children_stale)
            if not present.is_usable and present.is_stale == is_stale:
                return None
            if present.cancelled_at:
                return present.cancelled()
            problem = (
                f"WeCom refuses the permanent code (errcode {error.metadata.get('errcode', '?')}):"
                " an administrator of the corp must authorise the app again"
            )
            state = AuthorizationState.REAUTHORIZATION_REQUIRED
            return replace(present, state=state, problem=problem, is_stale=is_stale)

        await self.change(refused.key, refuse)

    async def doubt(self, refused: Authorization, error: BrokerError) -> None:
        """Have an authorisation read whose permanent code WeCom refuses as a secret: it may have ended."""
        if isinstance(error, SecretRejected):
            with suppress(StoreUnavailable):
                await self.mark_stale(refused.key)

    async def mark_stale(self, key: AuthorizationKey, *, with_children: bool = False) -> None:
        """Record durably that the details have changed at WeCom, perhaps those of the corp's children, too.

        Raises `StoreUnavailable`.
        """

        def mark(present: Authorization | None) -> Authorization | None:
            if present is None or present.state is AuthorizationState.CANCELLED:
                return None
            are_children_stale = present.are_children_stale or with_children
            return replace(present, is_stale=True, are_children_stale=are_children_stale)

        await self.change(key, mark, allow_offline=False)

    async def mark_proved(self, proved: Authorization, suite: Suite) -> None:
        """Record that an authorisation of an older broker is this suite's: WeCom takes its permanent code.

        Without a store it is left to the next renewal: there is nothing else to write down, and what others
        write meanwhile is newer.
        """

        def mark(present: Authorization | None) -> Authorization | None:
            if present is None or present.identity or present.permanent_code != proved.permanent_code:
                return None
            if present.is_stale:
                return None  # its reading marks it, and would take another change for an event
            marked = replace(present, identity=suite.identity)
            return marked if self._authorizations.is_current(marked) else None

        with suppress(StoreUnavailable):
            await self.change(proved.key, mark, allow_offline=False)

    async def mark_sharing(self, key: AuthorizationKey) -> None:
        """Record that the corp shares the app: its shares are compared from time to time."""

        def mark(present: Authorization | None) -> Authorization | None:
            return replace(present, shares=True) if present and not present.shares else None

        await self.change(key, mark, allow_offline=False)
