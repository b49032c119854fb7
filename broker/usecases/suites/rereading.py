"""What WeCom says about each authorisation: read after an exchange, and when an event says it changed."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from broker.domain.apps import AppKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, ReauthorizationRequired, RetryLater, StoreUnavailable
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.observer import Observer
from broker.domain.ports.wecom import AuthorizationDetails, WecomAuthorizations
from broker.domain.suites.authorization import (
    Authorization,
    AuthorizationKey,
    AuthorizationState,
    AuthorizedAgent,
    Edition,
    Permission,
)
from broker.domain.suites.suite import Suite
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.calls import SuiteCalls
from broker.usecases.suites.cancellation import Cancellation
from broker.usecases.suites.credentials import SuiteCredentials

CONCURRENT_READINGS = 8
"""How many authorisations one replica reads at a time."""
TAKEOVER_DELAY = timedelta(seconds=5)
"""How long the replica that took the event has before another one does its work."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=2), timedelta(minutes=5)
Answer = TypeVar("Answer")


class Rereading:
    """Bring stale authorisations up to date, and remove what cancelled ones leave behind."""

    def __init__(
        self,
        *,
        suites: Mapping[str, Suite],
        authorizations: Authorizations,
        cancellation: Cancellation,
        credentials: SuiteCredentials,
        wecom: WecomAuthorizations,
        calls: SuiteCalls,
        engine: CredentialEngine,
        fleet: LeasedFlight,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
        tasks: Background,
    ) -> None:
        self._suites = suites
        self._authorizations = authorizations
        self._cancellation = cancellation
        self._credentials = credentials
        self._wecom = wecom
        self._calls = calls
        self._engine = engine
        self._fleet = fleet
        self._clock = clock
        self._randomness = randomness
        self._observer = observer
        self._slots = asyncio.Semaphore(CONCURRENT_READINGS)
        self._flights: SingleFlight[tuple[AuthorizationKey, bool], None] = SingleFlight(tasks)
        """By whether it is cancelled: a corp that comes back must not wait for the removal of what was."""
        self._standbys: SingleFlight[AuthorizationKey, None] = SingleFlight(tasks)

    def start(self, key: AuthorizationKey) -> None:
        """Bring one up to date in the background, now: this replica took the event."""
        present = self._authorizations.get(key)
        is_cancelled = present is not None and present.state is AuthorizationState.CANCELLED
        self._flights.start((key, is_cancelled), lambda: self._keep_trying(key))

    async def run(self, suite: Suite) -> None:
        """Read what no other replica has read in time, for ever."""
        async with aclosing(self._authorizations.watch(suite.name)) as changes:
            async for _ in changes:
                for key in [key for key in self._authorizations.stale if key[0] == suite.name]:
                    self._standbys.start(key, partial(self._stand_by, key))

    async def read(self, suite: Suite, corp_id: str) -> Authorization:
        """Read the authorisation at WeCom now; one that was refused and works again is active again.

        If editions or permissions cannot be read for a while, what is known of them stays, and they are read
        in the background. Raises `CorpNotAuthorized`, and what WeCom's answer means.
        """
        found, outstanding = await self._read(suite, corp_id)
        if outstanding:
            self.start(found.key)
        return found

    async def _read(self, suite: Suite, corp_id: str) -> tuple[Authorization, list[RetryLater]]:
        """Read it, and return it with what kept a part of it from being read: then it is stale."""
        found = await self._authorizations.find(suite, corp_id)
        while found.are_children_stale:
            found = await self._with_children_marked(found, suite)
        app, seen = found.app(suite), found.fence

        details = await self._calls.about(
            found, suite, self._engine, lambda token: self._wecom.read_authorization(token, app)
        )
        if not found.is_usable:
            found = await self._revived(found)
        outstanding: list[RetryLater] = []
        editions = await self._unless_refused(
            f"the editions of {corp_id}", self._editions(found, suite, details), outstanding
        )
        permissions = await self._unless_refused(
            f"the permissions of {corp_id}", self._permissions(found, suite, details), outstanding
        )

        def update(present: Authorization | None) -> Authorization | None:
            if present is None or present.permanent_code != found.permanent_code:
                return None
            read = replace(
                present,
                state=AuthorizationState.ACTIVE,
                corp_name=details.corp_name or present.corp_name,
                agents=_merged(present, details, editions, permissions),
                auth_mode=details.auth_mode or present.auth_mode,
                problem="",
                identity=suite.identity,
                cancelled_at=None if present.fence == found.fence else present.cancelled_at,
                # An event that came while we read may mean more than what was read.
                is_stale=bool(outstanding) or (present.is_stale and present.fence != seen),
            )
            # A corp is tried again and again while WeCom limits: the store need not hear of each time.
            return None if outstanding and read == present else read

        changed = await self._authorizations.change(found.key, update)
        return changed or found, outstanding

    async def mark_children(self, suite: str, parent_corp_id: str) -> None:
        """Have each corp read with which that one shares the app (下级企业付费版本).

        Raises `StoreUnavailable`; some may be marked by then.
        """
        await self._authorizations.loaded()
        for found in self._authorizations.of(suite):
            if found.shared_from and found.shared_from.corp_id == parent_corp_id:
                await self._authorizations.mark_stale(found.key)
                self.start(found.key)

    async def _with_children_marked(self, parent: Authorization, suite: Suite) -> Authorization:
        """Mark its children, and write down that they are marked; return what holds now."""
        await self.mark_children(*parent.key)

        def marked(present: Authorization | None) -> Authorization | None:
            if present is None or present.fence != parent.fence:
                return None
            return replace(present, are_children_stale=False)

        await self._authorizations.change(parent.key, marked, allow_offline=False)
        return await self._authorizations.find(suite, parent.corp_id)

    async def _revived(self, found: Authorization) -> Authorization:
        """Write down that WeCom takes the permanent code again; return what holds now."""

        def revive(present: Authorization | None) -> Authorization | None:
            if present is None or present.permanent_code != found.permanent_code:
                return None
            return replace(present, state=AuthorizationState.ACTIVE, problem="")

        revived = await self._authorizations.change(found.key, revive) or found
        await self._credentials.reinstate(revived)
        return revived

    async def _stand_by(self, key: AuthorizationKey) -> None:
        await self._clock.sleep(self._randomness.jitter(TAKEOVER_DELAY))
        if key in self._authorizations.stale:
            self.start(key)

    async def _keep_trying(self, key: AuthorizationKey) -> None:
        rest = FIRST_RETRY
        while key in self._authorizations.stale and (suite := self._suites.get(key[0])):
            begin_recovery_budget()
            try:
                async with self._slots, self._fleet.alone(f"reading:{key[0]}:{key[1]}"):
                    again = await self._bring_up_to_date(suite, key)
                await self._clock.sleep(again)
            except BrokerError as error:
                what = f"reading the authorisation of {key[1]} for {key[0]}"
                if not isinstance(error, ReauthorizationRequired):
                    self._observer.background_failed(what, error)
                requested = error.retry_after if isinstance(error, RetryLater) else None
                # Not before WeCom's limit ends: the calls that succeed would only be repeated.
                await self._clock.sleep(max(self._randomness.jitter(rest), requested or timedelta(0)))
                rest = min(rest * 2, LONGEST_RETRY)

    async def _bring_up_to_date(self, suite: Suite, key: AuthorizationKey) -> timedelta:
        """Do what is due; return how long to wait before looking again."""
        present = await self._authorizations.replicated.look(key) or self._authorizations.get(key)
        if present is None or not present.is_stale:
            self._authorizations.stale.pop(key, None)
        elif present.state is AuthorizationState.CANCELLED:
            return await self._cancellation.clean_up(present)
        else:
            _, outstanding = await self._read(suite, key[1])
            if outstanding:
                raise outstanding[0]
        return timedelta(0)

    async def _unless_refused(
        self, what: str, reading: Awaitable[Answer], outstanding: list[RetryLater]
    ) -> Answer | None:
        """Return what is read; None if it cannot be read, so that what is known stays.

        An error that passes is added to what is outstanding. Of any other, only another event can tell that
        it is over. Raises `ReauthorizationRequired`, `StoreUnavailable`.
        """
        try:
            return await reading
        except (ReauthorizationRequired, StoreUnavailable):
            raise
        except RetryLater as error:
            outstanding.append(error)
        except BrokerError as error:
            self._observer.background_failed(f"reading {what}", error)
        return None

    async def _editions(
        self, found: Authorization, suite: Suite, details: AuthorizationDetails
    ) -> dict[int, Edition]:
        """Return the editions by agent."""
        if suite.kind is not AppKind.THIRD_PARTY or not details.agents:
            return {}
        app = found.app(suite)
        return await self._calls.about(
            found, suite, self._engine, lambda token: self._wecom.read_editions(token, app)
        )

    async def _permissions(
        self, found: Authorization, suite: Suite, details: AuthorizationDetails
    ) -> tuple[Permission, ...]:
        """Return what the corp allows its agents."""
        if not details.agents:
            return ()
        key = CredentialKey.own_token(found.app(suite, details.agents[0].agent_id))
        try:
            return await self._engine.using(key, self._wecom.read_permissions)
        except ReauthorizationRequired as ended:
            await self._authorizations.refuse(found, ended)
            raise


def _merged(
    present: Authorization,
    details: AuthorizationDetails,
    editions: dict[int, Edition] | None,
    permissions: tuple[Permission, ...] | None,
) -> tuple[AuthorizedAgent, ...]:
    """Return the agents with editions and permissions; what could not be read stays as it was."""
    known = {agent.agent_id: agent for agent in present.agents}
    nothing = AuthorizedAgent(0)
    return tuple(
        replace(
            agent,
            edition=known.get(agent.agent_id, nothing).edition
            if editions is None
            else editions.get(agent.agent_id),
            permissions=known.get(agent.agent_id, nothing).permissions
            if permissions is None
            else permissions,
        )
        for agent in details.agents
    )
