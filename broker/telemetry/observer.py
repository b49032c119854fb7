"""The observer of a running broker: logs and counts what happens, and keeps the replica's health."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, CallerMistake, RateLimited, WecomRefused
from broker.domain.events.log import Lag
from broker.domain.events.receiver import ReceiverForm
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Damage, Durability
from broker.domain.replica.clocks import MAX_CLOCK_OFFSET, ClockComparison, Witness
from broker.domain.replica.health import ConfigStatus, ReloadOutcome, ReplicaHealth
from broker.domain.replica.readiness import Hindrance, NotReady
from broker.domain.shares import AppShare
from broker.telemetry.logging import LOGGER
from broker.telemetry.metrics import Metrics
from broker.telemetry.recent_problems import ProblemKind, RecentProblems
from broker.telemetry.zeros import begin_at_zero

NO_ANSWER = {
    "-1": "WeCom is busy (errcode -1)",
    "timeout": "WeCom did not answer in time",
    "connection": "WeCom cannot be reached",
    "protocol": "WeCom's answer cannot be understood",
}
"""Outcomes of a call that say something about WeCom, not about the request; in words for callers."""
TAKEN = frozenset({"accepted", "repeated", "verified"})
"""Outcomes of callbacks that are no problem."""
SERVER_ERROR = re.compile(r"http_(5\d\d)")
MAX_RECEIVERS_REMEMBERED = 10_000
SHARES_LOGGED = 20
UNPROVEN_LOGGED_EVERY = timedelta(minutes=10)
LOGGED_EVERY = timedelta(seconds=10)
REMEMBERED_TOLD_EVERY = timedelta(minutes=1)
MOST_REMEMBERED_TOLD = 100
"""Of more, the one that was met first is told anew."""


class Telemetry:
    """Log and count what happens, and keep the replica's health. The `Observer` of a running broker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = structlog.get_logger(LOGGER)
        self.metrics = Metrics()
        self.problems = RecentProblems(clock)
        self.replica_health = ReplicaHealth(clock.now())
        self.metrics.config_loaded.set(self.replica_health.config.loaded_at.timestamp())
        begin_at_zero(self.metrics)
        self._sealed_for: set[tuple[str, str, str]] = set()
        self._groups: set[tuple[str, str]] = set()
        self._obstacle: NotReady | None = None
        self._unproven_logged_at: datetime | None = None
        self._unreplicated_logged_at: datetime | None = None
        self._stranger_logged = clock.now() - LOGGED_EVERY
        self._remembered_told: dict[str, tuple[datetime, int]] = {}
        """When each scope of a remembered error was last told, and how often it was met since."""
        self._damage_logged: dict[Damage, tuple[datetime, int]] = {}
        """When each kind was last logged, and how many were found since."""

    def config_applied(self, status: ConfigStatus) -> None:
        """Say what is in force from now on, and which changed keys wait for a restart."""
        self.replica_health.config = status
        self.metrics.config_reloads.labels(ReloadOutcome.APPLIED).inc()
        self.metrics.config_loaded.set(status.loaded_at.timestamp())
        self._log.info("the configuration was reloaded")
        for key in status.restart_needed:
            self._log.warning("this change of the configuration needs a restart", key=key)

    def config_refused(self, problems: Sequence[str]) -> None:
        """Say why a new configuration is not used: nothing has changed."""
        health = self.replica_health
        health.config = replace(health.config, outcome=ReloadOutcome.REFUSED, problems=tuple(problems))
        self.metrics.config_reloads.labels(ReloadOutcome.REFUSED).inc()
        for problem in problems:
            self._log.error("the new configuration is refused, the old one stays in force", problem=problem)

    def egress_chosen(self, described: Mapping[str, object]) -> None:
        """Log how calls reach WeCom."""
        self._log.info("calls to WeCom leave", **described)

    def upstream_called(
        self, endpoint: str, outcome: str, duration: timedelta, *, of_caller: bool = False, problem: str = ""
    ) -> None:
        """See `Observer.upstream_called`."""
        self.metrics.upstream_calls.labels(endpoint, outcome).inc()
        self.metrics.upstream_seconds.labels(endpoint).observe(duration.total_seconds())
        failure = _failure_of_wecom(outcome)
        if not (failure and of_caller):
            self.replica_health.wecom.seen(self._clock.now(), failure and (problem or failure))
            self.replica_health.wecom.took(duration)
        seconds = round(duration.total_seconds(), 3)
        self._log.debug("upstream call", endpoint=endpoint, outcome=outcome, seconds=seconds)

    def stranger_connected(self, address: str, uid: int) -> None:
        """A process of another user connected to a socket file; logged at most every ten seconds."""
        self.metrics.callers_refused.labels("", "UNAUTHENTICATED").inc()
        now = self._clock.now()
        if now - self._stranger_logged >= LOGGED_EVERY:
            self._stranger_logged = now
            self._log.warning("refused a process of another user", address=address, uid=uid)

    def lease_waited(self, name: str, duration: timedelta) -> None:
        """See `Observer.lease_waited`."""
        self.metrics.lease_wait_seconds.observe(duration.total_seconds())
        self._log.debug("waited for a lease", name=name, seconds=round(duration.total_seconds(), 3))

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        """See `Observer.refreshed`."""
        if error and error.kept_until:
            self.metrics.refreshes.labels(kind, "remembered").inc()
            if not isinstance(error, CallerMistake):
                self._tell_of_remembered(error, error.kept_until)
            return
        if isinstance(error, WecomRefused | RateLimited):
            outcome = "refused"
        self.metrics.refreshes.labels(kind, outcome).inc()
        if error is None:
            self._log.info("refreshed", credential=name, outcome=outcome)
            return
        key = CredentialKey.read(name)
        self.problems.note(ProblemKind.FETCH, key.app if key else name, error.reason)
        # An administrator must act on a refusal; nobody can act on an outage.
        say = self._log.error if isinstance(error, WecomRefused) else self._log.warning
        say(
            "refresh failed",
            credential=name,
            reason=error.reason,
            problem=error.message,
            **_fields(error.metadata),
        )

    def _tell_of_remembered(self, error: BrokerError, until: datetime) -> None:
        """Say once a minute that callers meet an error for which WeCom is not asked again."""
        now = self._clock.now()
        last, untold = self._remembered_told.pop(error.remembered_as, (None, 0))
        if last and now - last < REMEMBERED_TOLD_EVERY:
            self._remembered_told[error.remembered_as] = last, untold + 1
            return
        if len(self._remembered_told) >= MOST_REMEMBERED_TOLD:
            del self._remembered_told[next(iter(self._remembered_told))]
        self._remembered_told[error.remembered_as] = now, 0
        self._log.warning(
            "refused earlier",
            refused=error.remembered_as,
            reason=error.reason,
            problem=error.message,
            next_try=until.isoformat(timespec="seconds"),
            not_logged_before=untold,
            **_fields(error.metadata),
        )

    def store_awaited(self, attempt: int, error: BrokerError) -> None:
        """See `Observer.store_awaited`."""
        self._log.warning("waiting for the store", attempt=attempt, problem=error.message)

    def store_lost(self, error: BrokerError) -> None:
        """See `Observer.store_lost`."""
        was_healthy = self.replica_health.store.healthy
        self.replica_health.store.seen(self._clock.now(), error.message)
        if was_healthy:
            self.problems.note(ProblemKind.STORE, "", error.message)
            self._log.error("the store is unavailable; serving from memory", problem=error.message)

    def store_back(self) -> None:
        """See `Observer.store_back`."""
        was_healthy = self.replica_health.store.healthy
        self.replica_health.store.seen(self._clock.now())
        if not was_healthy:
            self._log.warning("the store is back")

    def durability_limited(self, problem: str) -> None:
        """See `Observer.durability_limited`."""
        self._log.warning(
            "a crash of the store may cost permanent codes, which WeCom tells once",
            problem=f"store.url: {problem}",
        )

    def durable_write_ended(self, outcome: Durability, problem: str = "") -> None:
        """See `Observer.durable_write_ended`; a problem is logged at most every ten minutes."""
        self.metrics.durable_writes.labels(outcome).inc()
        now, last = self._clock.now(), self._unproven_logged_at
        if problem and (last is None or now - last >= UNPROVEN_LOGGED_EVERY):
            self._unproven_logged_at = now
            self._log.warning("a durable write is not proven to be on disk", problem=problem)

    def replication_ended(self, outcome: Durability, problem: str = "") -> None:
        """See `Observer.replication_ended`; a problem is logged at most every ten minutes."""
        self.metrics.replicated_writes.labels(outcome).inc()
        now, last = self._clock.now(), self._unreplicated_logged_at
        if problem and (last is None or now - last >= UNPROVEN_LOGGED_EVERY):
            self._unreplicated_logged_at = now
            self._log.warning("a write is not proven to be on a replica of the store", problem=problem)

    def damage_found(self, damage: Damage, problem: Exception) -> None:
        """See `Observer.damage_found`; each kind is logged at most every ten seconds."""
        self.metrics.store_damage.labels(damage).inc()
        self.problems.note(ProblemKind.DAMAGE, "", damage)
        now = self._clock.now()
        last, unlogged = self._damage_logged.get(damage, (None, 0))
        if last and now - last < LOGGED_EVERY:
            self._damage_logged[damage] = last, unlogged + 1
            return
        self._damage_logged[damage] = now, 0
        self._log.error(
            "the store holds what this broker cannot use",
            damage=damage,
            problem=str(problem),
            not_logged_before=unlogged,
        )

    def store_clock_compared(self, off: timedelta) -> None:
        """See `Observer.store_clock_compared`."""
        self.metrics.store_clock_offset.set(off.total_seconds())
        if abs(off) > MAX_CLOCK_OFFSET:
            self._log.error(
                "the store's clock and this machine's are too far apart",
                ahead_seconds=round(off.total_seconds(), 1),
                bound_seconds=MAX_CLOCK_OFFSET.total_seconds(),
            )

    def clocks_compared(self, comparison: ClockComparison) -> None:
        """See `Observer.clocks_compared`; a change of which clocks are wrong is logged."""
        before, self.replica_health.clocks = self.replica_health.clocks, comparison
        for witness in Witness:
            ahead = comparison.told.get(witness, timedelta(0))
            self.metrics.clock_skew.labels(witness).set(ahead.total_seconds())
        if comparison.far_off == before.far_off and comparison.trusted == before.trusted:
            return
        if comparison.problem:
            self._log.error("clocks are far apart", problem=comparison.problem)
        elif before.problem:
            self._log.warning("the clocks agree again", going_by=comparison.trusted)

    def readiness_judged(self, obstacle: NotReady | None) -> None:
        """Measure whether this replica is ready; log once when that changes, and why."""
        before, self._obstacle = self._obstacle, obstacle
        self.metrics.ready.set(obstacle is None)
        if (obstacle and obstacle.hindrance) == (before and before.hindrance):
            return
        if obstacle is None:
            self._log.warning("this replica is ready again")
        elif obstacle.hindrance is Hindrance.STOPPING:
            self._log.info("this replica is not ready", problem=obstacle.problem)
        else:
            self.problems.note(ProblemKind.READINESS, "", obstacle.problem)
            self._log.error("this replica is not ready", problem=obstacle.problem)

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        """See `Observer.shares_changed`."""
        come, gone = [share.corp_id for share in added], [share.corp_id for share in removed]
        self._log.info(
            "shares changed",
            app=app,
            added_count=len(come),
            removed_count=len(gone),
            added=come[:SHARES_LOGGED],
            removed=gone[:SHARES_LOGGED],
        )

    def shares_ended_unannounced(self, app: str, ended: Iterable[AppShare]) -> None:
        """See `Observer.shares_ended_unannounced`."""
        gone = [share.corp_id for share in ended]
        self.metrics.shares_ended_unannounced.labels(app).inc(len(gone))
        self.problems.note(ProblemKind.SHARE, app, "")
        self._log.warning(
            "shares ended, and no event said so", app=app, count=len(gone), corp_ids=gone[:SHARES_LOGGED]
        )

    def shares_unreadable(self, app: str, share_kind: ShareKind, count: int) -> None:
        """See `Observer.shares_unreadable`."""
        self._log.warning("a share list has unreadable entries", app=app, share_kind=share_kind, count=count)

    def callback_ended(self, app: str, outcome: str, duration: timedelta) -> None:
        """See `Observer.callback_ended`."""
        self.metrics.callbacks.labels(app, outcome).inc()
        if outcome not in TAKEN:
            self.problems.note(ProblemKind.CALLBACK, app, outcome)
        self.metrics.callback_seconds.observe(duration.total_seconds())

    def callback_addressed(self, app: str, form: ReceiverForm, receive_id: str) -> None:
        """See `Observer.callback_addressed`; an undocumented form is logged once for each receiver."""
        self.metrics.callback_receivers.labels(app, form).inc()
        seen = (app, form, "" if form.is_documented else receive_id)
        if len(self._sealed_for) < MAX_RECEIVERS_REMEMBERED and seen not in self._sealed_for:
            self._sealed_for.add(seen)
            self._log.info("callbacks are sealed for", app=app, form=form, receive_id=receive_id)

    def event_delivered(self, app: str, group: str, earlier: int) -> None:
        """See `Observer.event_delivered`."""
        self.metrics.events_delivered.labels(app, group, "yes" if earlier else "no").inc()

    def fetch_forced(self, caller: str) -> None:
        """See `Observer.fetch_forced`."""
        self.metrics.forced_fetches.labels(caller).inc()

    def groups_lag(self, lags: Iterable[Lag]) -> None:
        """See `Observer.groups_lag`; a group that is gone has no lag."""
        found = {(lag.app, lag.group): lag for lag in lags}
        for labels in self._groups - found.keys():
            self.metrics.forget_group(*labels)
        self._groups = set(found)
        for labels, lag in found.items():
            age = (self._clock.now() - lag.oldest).total_seconds() if lag.oldest else 0.0
            self.metrics.event_lag.labels(*labels).set(lag.open)
            self.metrics.event_lag_seconds.labels(*labels).set(max(age, 0.0))
            self.metrics.dead_events.labels(*labels).set(lag.dead)

    def background_failed(self, what: str, error: Exception) -> None:
        """See `Observer.background_failed`."""
        reason = error.reason if isinstance(error, BrokerError) else type(error).__name__
        self.problems.note(ProblemKind.BACKGROUND, what, reason)
        if isinstance(error, BrokerError):
            self._log.warning("background work failed", what=what, reason=error.reason, problem=error.message)
        else:
            self._log.error("background work failed", what=what, problem=type(error).__name__, exc_info=error)


def _failure_of_wecom(outcome: str) -> str:
    """Return the failure of WeCom itself that a call's outcome shows, or nothing."""
    if server_error := SERVER_ERROR.fullmatch(outcome):
        return f"WeCom answered HTTP {server_error[1]}"
    return NO_ANSWER.get(outcome, "")


def _fields(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"wecom_{name}": value for name, value in metadata.items()}
