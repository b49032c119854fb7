"""What WeCom says about each authorisation: read after an exchange, and when an event says it changed."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import partial

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

        Raises `CorpNotAuthorized`, and what WeCom's answer means.
        """
        found = await self._authorizations.find(suite, corp_id)
        app = found.app(suite)

        details = await self._calls.about(
            found, suite, self._engine, lambda token: self._wecom.read_authorization(token, app)
        )
        if not found.is_usable:
            found = await self._revived(found)
        editions = await self._editions(found, suite)
        permissions = await self._permissions(found, suite, details)

        def update(present: Authorization | None) -> Authorization | None:
            if present is None or present.permanent_code != found.permanent_code:
                return None
            return replace(
                present,
                state=AuthorizationState.ACTIVE,
                corp_name=details.corp_name or present.corp_name,
                agents=_merged(present, details, editions, permissions),
                auth_mode=details.auth_mode or present.auth_mode,
                problem="",
                cancelled_at=None if present.fence == found.fence else present.cancelled_at,
                # An event that came while we read may mean more than what was read.
                is_stale=present.is_stale and present.fence != found.fence,
            )

        changed = await self._authorizations.change(found.key, update)
        return changed or found

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
                wait = max(rest, error.retry_after or rest) if isinstance(error, RetryLater) else rest
                await self._clock.sleep(self._randomness.jitter(wait))
                rest = min(rest * 2, LONGEST_RETRY)

    async def _bring_up_to_date(self, suite: Suite, key: AuthorizationKey) -> timedelta:
        """Do what is due; return how long to wait before looking again."""
        present = await self._authorizations.replicated.look(key) or self._authorizations.get(key)
        if present is None or not present.is_stale:
            self._authorizations.stale.pop(key, None)
        elif present.state is AuthorizationState.CANCELLED:
            return await self._cancellation.clean_up(present)
        else:
            await self.read(suite, key[1])
        return timedelta(0)

    async def _editions(self, found: Authorization, suite: Suite) -> dict[int, Edition] | None:
        """Return the editions by agent; None if they cannot be read now, so that the known ones stay."""
        if suite.kind is not AppKind.THIRD_PARTY:
            return {}
        app = found.app(suite)
        try:
            return await self._calls.about(
                found, suite, self._engine, lambda token: self._wecom.read_editions(token, app)
            )
        except (ReauthorizationRequired, StoreUnavailable):
            raise
        except BrokerError as error:
            self._observer.background_failed(f"reading the editions of {found.corp_id}", error)
            return None

    async def _permissions(
        self, found: Authorization, suite: Suite, details: AuthorizationDetails
    ) -> tuple[Permission, ...] | None:
        """Return what the corp allows; None if that cannot be read now."""
        agent_id = details.agents[0].agent_id if details.agents else 0
        key = CredentialKey.own_token(found.app(suite, agent_id))
        try:
            return await self._engine.using(key, self._wecom.read_permissions)
        except ReauthorizationRequired as ended:
            await self._authorizations.refuse(found, ended)
            raise
        except StoreUnavailable:
            raise
        except BrokerError as error:
            self._observer.background_failed(f"reading the permissions of {found.corp_id}", error)
            return None


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
