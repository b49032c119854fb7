"""Auth_codes become authorisations: one exchange at a time for each suite in the fleet, each code sent once.

A code is written down before WeCom's push is answered, and again before it is sent: `Installation` says how.
Whoever finds a code that was sent and never settled does not send it again: WeCom reads a code once, and an
administrator can install again. One at a time, so that of two codes for one corp the later one's permanent
code is kept: WeCom does not say whether the earlier one goes on working (wecom-api B6).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from broker.domain.credentials import CredentialKey
from broker.domain.errors import (
    BrokerError,
    CodeRejected,
    RateLimited,
    RetryLater,
    StoreUnavailable,
    UnknownApp,
    WecomUnavailable,
)
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.suite_observer import SuiteObserver
from broker.domain.ports.wecom import ExchangedCode, WecomAuthorizations
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationKey, AuthorizationState
from broker.domain.suites.installation import (
    CODE_LIFETIME,
    Installation,
    InstallationKey,
    InstallationState,
)
from broker.domain.suites.suite import Suite
from broker.domain.suites.ticket import CLOCKS_APART
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.one_time_codes import spend_code
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.changes import Changes
from broker.usecases.suites.credentials import SuiteCredentials
from broker.usecases.suites.installations import Installations, LostCodes

REST, LONGEST_REST = timedelta(seconds=1), timedelta(minutes=1)
"""How long to wait before a failed exchange is tried again: at first, and at most."""
LONGEST_WAIT_SECONDS = 25.0
"""How long a caller waits for the exchange of its code."""
REMEDY = "install the app again; for a 代开发 app press 重新获取secret"


class Exchanges:
    """Take codes, and exchange them."""

    def __init__(
        self,
        *,
        suites: Mapping[str, Suite],
        installations: Installations,
        records: Collection[InstallationKey, Installation],
        authorizations: Authorizations,
        credentials: SuiteCredentials,
        wecom: WecomAuthorizations,
        engine: CredentialEngine,
        fleet: LeasedFlight,
        changes: Changes,
        clock: Clock,
        observer: SuiteObserver,
        lost_codes: LostCodes,
        tasks: Background,
        longest_call: timedelta,
        on_authorized: Callable[[AuthorizationKey], None],
    ) -> None:
        self._suites = suites
        self._installations = installations
        self._records = records
        self._authorizations = authorizations
        self._credentials = credentials
        self._wecom = wecom
        self._engine = engine
        self._fleet = fleet
        self._changes = changes
        self._clock = clock
        self._observer = observer
        self._lost_codes = lost_codes
        self._tasks = tasks
        self._longest_call = longest_call
        self._on_authorized = on_authorized
        self._unsent: dict[InstallationKey, int] = {}
        """The fences of codes that this replica wrote down as sent, and has not sent yet."""
        self._rests: dict[str, timedelta] = {}
        """How long each suite waits after exchanges that did not come about."""
        self._exchanges: set[asyncio.Task[None]] = set()
        self._sending: set[InstallationKey] = set()
        self._is_closing = False

    @property
    def is_sending(self) -> bool:
        """Return whether this replica waits for WeCom's answer to a code."""
        return bool(self._sending)

    async def take(
        self,
        suite: Suite,
        auth_code: Secret,
        taken_at: datetime,
        *,
        is_reset: bool = False,
        state: str = "",
        is_callers: bool = False,
    ) -> InstallationKey:
        """Write a code down durably; one that was taken before changes nothing.

        Raises `StoreUnavailable`, and `CallerLimited` if callers brought too many that came to nothing.
        """
        taken = Installation(
            suite.name,
            auth_code.digest(),
            1,
            InstallationState.TAKEN,
            auth_code,
            is_reset,
            state,
            taken_at,
            is_callers=is_callers,
            identity=suite.identity,
        )
        if is_callers:
            self._installations.check_room(taken.key)
        await self._installations.enlisted.enlist(suite.name, taken.code_hash, taken.kept_until)
        if await self._records.supplant(taken):
            await self._installations.replicated.adopt(taken)
        else:
            await self._installations.replicated.look(taken.key)
        return taken.key

    async def outcome(self, key: InstallationKey) -> Authorization:
        """Wait for the exchange of a code. Raises `CodeRejected` if it is lost, else `WecomUnavailable`."""
        try:
            async with (
                asyncio.timeout(LONGEST_WAIT_SECONDS),
                aclosing(self._changes.follow(key[0])) as changes,
            ):
                async for _ in changes:
                    found = self._installations.get(key)
                    if found and found.state is InstallationState.LOST:
                        raise CodeRejected(found.problem, app=key[0])
                    if found and found.state is InstallationState.DONE:
                        return await self._authorizations.find(self._suites[key[0]], found.corp_id)
        except TimeoutError:
            pass
        found = self._installations.get(key)
        problem = (found and found.problem) or "the exchange of the code is outstanding"
        raise WecomUnavailable(f"{problem}; ask again with the same code", REST, app=key[0])

    async def run(self, suite: Suite) -> None:
        """Exchange the suite's codes as they are taken, for ever."""
        # What a code became is only known with all authorisations: else it would count as lost, or be sent.
        await self._authorizations.enlisted.loaded.wait()
        await self._installations.enlisted.loaded.wait()
        async with aclosing(self._changes.follow(suite.name)) as changes:
            async for _ in changes:
                while self._to_do(suite) and not self._is_closing:
                    with suppress(StoreUnavailable):
                        async with self._fleet.alone(f"exchange:{suite.name}"):
                            await self._exchange_all(suite)
                    if self._to_do(suite):
                        await self._clock.sleep(self._rests.get(suite.name, REST))

    async def close(self) -> None:
        """Send no code any more, and wait for those under way: their answers come once."""
        self._is_closing = True
        if self._exchanges:
            await asyncio.wait(self._exchanges, timeout=self._longest_call.total_seconds())

    def _to_do(self, suite: Suite) -> list[Installation]:
        """Return the codes that are outstanding, and those given up whose answer turned up later."""
        return [
            found
            for found in self._installations.unfinished(suite.name)
            if found.is_open
            or (found.state is InstallationState.LOST and self._authorizations.came_of(*found.key))
        ]

    async def _exchange_all(self, suite: Suite) -> None:
        problem = await self._no_token(suite)
        for found in self._to_do(suite):
            if self._is_closing:
                return
            if problem and self._settled(found) is found:
                self._installations.waits(found.key, problem)
                continue
            exchange = self._tasks.create_task(self._exchange(suite, found.key))
            self._exchanges.add(exchange)
            exchange.add_done_callback(self._exchanges.discard)
            # The broker may stop meanwhile: `close` waits until the code is settled.
            await asyncio.shield(exchange)

    async def _exchange(self, suite: Suite, key: InstallationKey) -> None:
        begin_recovery_budget()
        # The name may become another suite's meanwhile: what comes of the code is of no use here.
        with suppress(UnknownApp):
            if sent := await self._written_as_sent(key):
                self._sending.add(key)
                try:
                    await self._send(suite, sent)
                finally:
                    self._sending.discard(key)

    async def _written_as_sent(self, key: InstallationKey) -> Installation | None:
        """Write down that the code is sent, and return it; None if it must not be sent, or not now."""
        async with aclosing(
            self._fleet.turns(
                self._installations.replicated, key, stage="installation", above=1, allow_offline=False
            )
        ) as turns:
            async for turn in turns:
                found = turn.stored
                if found is None or found.state is InstallationState.DONE:
                    return None
                if turn.lease is None:
                    continue
                settled = self._settled(found)
                if settled is not found:
                    settled = replace(settled, fence=turn.lease.fence)
                    if await self._installations.replicated.publish(key, settled, turn.lease):
                        self._report(settled)
                    return None
                if not found.is_open or self._is_closing:
                    return None
                if found.state is InstallationState.SENT and self._unsent.get(key) != found.fence:
                    return None
                sent = replace(
                    found,
                    fence=turn.lease.fence,
                    state=InstallationState.SENT,
                    sent_at=self._clock.now(),
                    problem="",
                )
                # If the store fails now, nobody knows whether this was written; the fence says whose it is.
                self._unsent[key] = sent.fence
                if await self._records.commit(sent, turn.lease):
                    await self._installations.replicated.adopt(sent)
                    return sent
        raise AssertionError("turns end only when they are closed")

    def _settled(self, found: Installation) -> Installation:
        """Return the code as done or lost, if it cannot be exchanged any more."""
        if authorization := self._authorizations.came_of(found.suite, found.code_hash):
            return _done(found, authorization.corp_id)
        if not found.is_open:
            return found
        now = self._clock.now()
        if found.state is InstallationState.SENT and self._unsent.get(found.key) != found.fence:
            if found.sent_at and now < found.sent_at + self._longest_call:
                return found
            return _lost(found, "the broker that sent the code stopped before WeCom's answer was stored")
        if now > found.taken_at + CODE_LIFETIME + CLOCKS_APART:
            return _lost(
                found, f"the code ended before it could be sent: {found.problem or 'no call was possible'}"
            )
        return found

    async def _no_token(self, suite: Suite) -> str:
        """Return why the suite has no token to send codes with; "" if it has one."""
        try:
            await self._engine.get(CredentialKey.suite_token(suite))
        except BrokerError as error:
            return f"{error.reason}: {error.message}"
        return ""

    async def _send(self, suite: Suite, sent: Installation) -> None:
        """Send the code, and write down what became of it."""
        code = sent.auth_code
        if code is None:  # pragma: no cover - open ones have their code
            raise AssertionError(sent.key)
        self._unsent.pop(sent.key, None)
        try:
            exchanged = await spend_code(
                self._engine,
                CredentialKey.suite_token(suite),
                lambda token: self._wecom.exchange_auth_code(token, code),
            )
        except BrokerError as error:
            # Errors count at WeCom: it bars an address that brings too many (wecom-api E).
            asked_for = error.retry_after or REST
            rest = min(2 * self._rests.get(suite.name, REST), LONGEST_REST)
            self._rests[suite.name] = max(rest, asked_for)
            await self._settle(sent, _after(sent, error))
            return
        self._rests.pop(suite.name, None)
        known = self._authorizations.get((suite.name, exchanged.corp_id))
        authorization = await self._store(suite, sent, exchanged)
        self._on_authorized(authorization.key)
        await self._settle(sent, _done(sent, authorization.corp_id))
        await self._credentials.reinstate(authorization)
        if sent.is_reset and (known is None or known.state is AuthorizationState.CANCELLED):
            with suppress(StoreUnavailable):
                await self._lost_codes.settle_one(suite.name, sent.taken_at)

    async def _store(self, suite: Suite, sent: Installation, exchanged: ExchangedCode) -> Authorization:
        """Keep the permanent code, which WeCom tells once: without the store in memory, and offered later."""

        def authorize(present: Authorization | None) -> Authorization:
            now = self._clock.now()
            if present is None or present.state is AuthorizationState.CANCELLED:
                present = Authorization(
                    suite=suite.name,
                    corp_id=exchanged.corp_id,
                    fence=present.fence if present else 0,
                    state=AuthorizationState.ACTIVE,
                    permanent_code=None,
                    code_hash="",
                    installed_at=sent.taken_at,
                    updated_at=now,
                    # Perhaps of this installation: if WeCom refuses the permanent code, it was.
                    cancelled_at=present.cancelled_at if present else None,
                )
            return replace(
                present,
                state=AuthorizationState.ACTIVE,
                permanent_code=exchanged.permanent_code,
                code_hash=sent.code_hash,
                installed_at=present.installed_at
                if sent.is_reset
                else max(present.installed_at, sent.taken_at),
                corp_name=exchanged.corp_name or present.corp_name,
                installer_user_id=exchanged.installer_user_id or present.installer_user_id,
                install_state=exchanged.install_state or sent.install_state or present.install_state,
                problem="",
                is_stale=True,
                identity=suite.identity,
            )

        stored = await self._authorizations.change((suite.name, exchanged.corp_id), authorize)
        if stored is None:  # pragma: no cover - `authorize` always returns one
            raise AssertionError(sent.key)
        return stored

    async def _settle(self, sent: Installation, settled: Installation) -> None:
        """Write down the outcome; if the store is away, it is held here and offered later."""
        async with aclosing(
            self._fleet.turns(
                self._installations.replicated, sent.key, stage="installation", above=sent.fence
            )
        ) as turns:
            async for turn in turns:
                if turn.lease is None:
                    continue
                if settled.is_callers:
                    await self._keep_listed(settled)
                written = replace(settled, fence=turn.lease.fence)
                if await self._installations.replicated.publish(sent.key, written, turn.lease):
                    self._report(settled)
                    return

    async def _keep_listed(self, settled: Installation) -> None:
        """List a code that became an authorisation for as long as one of a push."""
        with suppress(StoreUnavailable):
            await self._installations.enlisted.enlist(settled.suite, settled.code_hash, settled.kept_until)

    def _report(self, settled: Installation) -> None:
        self._observer.exchange_ended(settled.suite, settled.state)
        if settled.state is InstallationState.LOST:
            self._observer.code_lost(settled.suite, settled.problem)


def _done(found: Installation, corp_id: str) -> Installation:
    return replace(found, state=InstallationState.DONE, auth_code=None, corp_id=corp_id, problem="")


def _lost(found: Installation, problem: str) -> Installation:
    return replace(found, state=InstallationState.LOST, auth_code=None, problem=f"{problem}; {REMEDY}")


def _after(sent: Installation, error: BrokerError) -> Installation:
    """Return what has become of a code whose exchange failed."""
    problem = f"{error.reason}: {error.message}"
    # A limit gave no permanent code that another exchange could end, whether or not WeCom has read this one.
    if error.code_unread or isinstance(error, RateLimited):
        return replace(sent, state=InstallationState.TAKEN, sent_at=None, problem=problem)
    if isinstance(error, CodeRejected):
        return _lost(sent, f"WeCom refused the code: it is spent, too old, or another suite's ({problem})")
    if isinstance(error, RetryLater):
        return _lost(sent, f"WeCom's answer was lost after the code was sent ({problem})")
    return _lost(sent, f"WeCom refused the exchange ({problem})")
