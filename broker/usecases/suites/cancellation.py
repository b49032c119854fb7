"""A corp cancels a suite (cancel_auth): everything that belongs to the authorisation is removed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from broker.domain.ports.clock import Clock
from broker.domain.shares import ListingKey
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.domain.suites.suite import Suite
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.credentials import SuiteCredentials
from broker.usecases.suites.installations import LostCodes

LATE_ANSWER = timedelta(seconds=30)
"""A fetch that began before the corp cancelled has ended by then, and may have left a token."""


class Cancellation:
    """End authorisations, and remove what they leave behind."""

    def __init__(
        self,
        suites: Mapping[str, Suite],
        authorizations: Authorizations,
        credentials: SuiteCredentials,
        lost_codes: LostCodes,
        end_shares: Callable[[ListingKey], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._suites = suites
        self._authorizations = authorizations
        self._credentials = credentials
        self._lost_codes = lost_codes
        self._end_shares = end_shares
        self._clock = clock

    async def cancel(self, suite: Suite, corp_id: str, cancelled_at: datetime) -> None:
        """Record durably that the corp cancelled. If it authorised again since, it is only read again.

        Raises `StoreUnavailable`.
        """
        was_unknown = False

        def cancel(present: Authorization | None) -> Authorization | None:
            nonlocal was_unknown
            was_unknown = False
            if present is None:
                # Its auth_code may be on its way to WeCom.
                was_unknown = True
                return self._unknown(suite, corp_id, cancelled_at)
            if present.cancelled_at and cancelled_at <= present.cancelled_at:
                return None
            present = replace(present, cancelled_at=cancelled_at)
            if present.state is AuthorizationState.CANCELLED:
                was_unknown = True
                return present
            if cancelled_at < present.installed_at.replace(microsecond=0):
                # Of before it authorised again, or clocks are apart: WeCom is asked.
                return replace(present, is_stale=True)
            return present.cancelled()

        await self._authorizations.change((suite.name, corp_id), cancel, allow_offline=False)
        if was_unknown:
            await self._lost_codes.settle_one(suite.name, cancelled_at)

    def _unknown(self, suite: Suite, corp_id: str, cancelled_at: datetime) -> Authorization:
        return Authorization(
            suite=suite.name,
            corp_id=corp_id,
            fence=0,
            state=AuthorizationState.CANCELLED,
            permanent_code=None,
            code_hash="",
            installed_at=cancelled_at,
            updated_at=self._clock.now(),
            problem="the corp cancelled",
            is_stale=True,
            cancelled_at=cancelled_at,
            identity=suite.identity,
        )

    async def clean_up(self, cancelled: Authorization) -> timedelta:
        """Remove shares, tokens, tickets and sessions; return after how long to do it again, 0 if not at all.

        Raises `StoreUnavailable`.
        """
        age = self._clock.now() - cancelled.updated_at
        # The tokens of children go with the shares.
        suite = self._suites.get(cancelled.suite)
        for kind in suite.share_kinds if suite else ():
            await self._end_shares(ListingKey(cancelled.suite, kind, cancelled.corp_id))
        await self._credentials.remove(cancelled)
        if age < LATE_ANSWER:
            return LATE_ANSWER - age

        def forget(present: Authorization | None) -> Authorization | None:
            if present is None or present.fence != cancelled.fence:
                return None
            return replace(present, agents=(), is_stale=False)

        await self._authorizations.change(cancelled.key, forget, allow_offline=False)
        return timedelta(0)
