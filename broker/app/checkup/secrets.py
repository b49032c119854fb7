"""Whether WeCom accepts each secret: one try each, and none that was refused before.

WeCom bars an address for an hour after several wrong secrets (wecom-api D, 45009). So a trial is on record
before it begins, and where nobody can tell what was tried before, nothing is.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from broker.app.checkup.trying import Attempt
from broker.domain.apps import App
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, RetryLater, SecretRejected, StoreUnavailable, SuiteTicketMissing
from broker.domain.ports.clock import Clock
from broker.domain.ports.trials import Trials
from broker.domain.suites.catalog import Owner
from broker.domain.suites.suite import Provider, Suite
from broker.domain.trial import Trial
from broker.server.diagnosis.finding import Finding, Level
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.refusals.remedies import Whose, remedy_of

if TYPE_CHECKING:
    from datetime import datetime

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a configuration, and what is known of them."""

    attempt: Attempt
    trials: Trials
    error_cache: ErrorCache | None
    """What the fleet remembers; None where there is no store yet."""
    clock: Clock
    again: Collection[str] = ()
    """Whose secrets the operator has tried again, whatever doctors remember of them."""

    async def examine(self, owners: Collection[Owner]) -> list[Finding]:
        """Return a finding for each."""
        return list(await asyncio.gather(*map(self._examined, owners)))

    async def _examined(self, owner: Owner) -> Finding:
        try:
            if remembered := await self._remembered_by_fleet(owner):
                return remembered
            async with self.trials.turn(mark := mark_of(owner)) as mine:
                if not mine:
                    return Finding(Level.WARN, _subject(owner.name), "another doctor tries it right now")
                last = await self.trials.find(mark)
                if last and not last.is_due(self.clock.now()) and owner.name not in self.again:
                    return self._finding(owner, last)
                return self._finding(owner, await self._tried(owner, mark), just_now=True)
        except StoreUnavailable as error:
            return not_tried(owner.name, f"what was tried before cannot be read: {error.message}")

    async def _remembered_by_fleet(self, owner: Owner) -> Finding | None:
        """Return what the brokers remember of this very secret, so that it is not tried."""
        if self.error_cache is None:
            return None
        scope = key_of(owner).name
        for found in await self.error_cache.remembered(owner.name):
            if found.scope == scope and issubclass(found.kind, SecretRejected):
                since = f"since {found.since.isoformat(sep=' ', timespec='seconds')}"
                error = found.as_error(self.clock.now())
                return _refused(owner, error, f"{since}; the brokers remember it, so it was not tried")
        return None

    async def _tried(self, owner: Owner, mark: str) -> Trial:
        await self.trials.put(Trial(mark, self.clock.now(), answered=False))
        try:
            await self.attempt.try_out(owner)
        except BrokerError as error:
            trial = Trial(mark, self.clock.now(), True, type(error), error.message, error.metadata)
            if isinstance(error, SecretRejected):
                await self._tell_fleet(owner, error)
        else:
            trial = Trial(mark, self.clock.now())
        await self.trials.put(trial)
        return trial

    async def _tell_fleet(self, owner: Owner, error: SecretRejected) -> None:
        """Have the brokers remember the refusal, unless they remember one of the secret that they use."""
        scope = key_of(owner).name
        if self.error_cache is None:
            return
        known = self.error_cache.get(scope)
        if known is None or known.until <= self.clock.now():
            await self.error_cache.remember(scope, error, owner.name)

    def _finding(self, owner: Owner, trial: Trial, *, just_now: bool = False) -> Finding:
        when = "just now" if just_now else f"tried {_ago(self.clock.now(), trial.at)}"
        again = f"wecom-broker doctor --config FILE --again {owner.name}"
        if not trial.answered:
            problem = f"{when} by a doctor that stopped before WeCom answered; it is not tried again"
            return Finding(Level.WARN, _subject(owner.name), problem, f"if the secret is right: {again}")
        if trial.kind is None:
            more = "" if just_now else f" ({again} tries it now)"
            more += _of_agent_and_address(owner, just_now=just_now)
            return Finding(Level.OK, _subject(owner.name), f"accepted, {when}{more}")
        error = trial.kind.restored(trial.message, trial.metadata)
        if isinstance(error, SecretRejected):
            return _refused(owner, error, f"{when}, and never again")
        return _refused(owner, error, when)


def not_tried(name: str, why: str) -> Finding:
    """Return the finding for a secret that was not tried."""
    remedy = "mend that first; a running broker tells more: wecom-broker doctor --address HOST:PORT"
    return Finding(Level.WARN, _subject(name), f"not tried, {why}", remedy)


def mark_of(owner: Owner) -> str:
    """Return what stands for this secret of this owner: another corp id or secret is another one."""
    whose = owner.suite_id if isinstance(owner, Suite) else owner.corp_id
    return f"{whose}:{owner.secret.fingerprint()}"


def key_of(owner: Owner) -> CredentialKey:
    """Return the credential for which the brokers use the secret."""
    match owner:
        case Suite():
            return CredentialKey.suite_token(owner)
        case Provider():
            return CredentialKey.provider_token(owner)
        case App():
            return CredentialKey.own_token(owner)


def _refused(owner: Owner, error: BrokerError, when: str) -> Finding:
    words = [
        f"{error.reason} {error.metadata.get('errcode', '')}".strip(),
        f"at {error.metadata['endpoint']}" if "endpoint" in error.metadata else "",
        f"WeCom sees {error.metadata['ip']}" if "ip" in error.metadata else "",
        error.message if isinstance(error, RetryLater | SuiteTicketMissing) else "",
        when,
    ]
    level = Level.WARN if isinstance(error, RetryLater) else Level.FAIL
    kind = next(kind for kind in type(error).__mro__ if "reason" in vars(kind))
    return Finding(
        level,
        _subject(owner.name),
        ", ".join(filter(None, words)),
        remedy_of(kind, Whose.of(owner), error.metadata),
    )


def _subject(name: str) -> str:
    return f"secret {name}"


def _of_agent_and_address(owner: Owner, *, just_now: bool) -> str:
    """Say whether these were tried, too: a trial that is remembered may be of another machine."""
    if not isinstance(owner, App) or not owner.agent_id:
        return ""
    tried = "agent_id and this machine's address"
    return f"; {tried}, too" if just_now else f"; not tried now: {tried}"


def _ago(now: "datetime", then: "datetime") -> str:
    minutes = max(now - then, timedelta()) // MINUTE
    return f"{minutes} min ago" if minutes else "less than a minute ago"
