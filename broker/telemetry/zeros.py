"""Series that exist before their first event: an increase sees the first one only if there was a 0 before.

Labels that nobody can foresee (errcodes, groups) begin with their first event.
"""

from collections.abc import Iterable

from broker.domain.credentials import CredentialKind
from broker.domain.errors import CallerLimited, CallerNotAllowed, StoreUnavailable, Unauthenticated
from broker.domain.events.event import EnvelopeProblem
from broker.domain.events.receiver import ReceiverForm
from broker.domain.ports.observer import Damage, Durability
from broker.domain.replica.health import ReloadOutcome
from broker.domain.suites.installation import InstallationState
from broker.telemetry.metrics import Metrics

REFRESHES = ("rotated", "unchanged", "superseded", "failed", "refused", "remembered")
CALLBACKS = (
    *("accepted", "repeated", "verified", "failed", "no_callback", "query"),
    *EnvelopeProblem,
    StoreUnavailable.reason.lower(),
)
NO_ANSWERS = ("0", "timeout", "connection", "protocol")


def begin_at_zero(metrics: Metrics) -> None:
    """Show what does not depend on the configuration."""
    for outcome in Durability:
        metrics.durable_writes.labels(outcome)
        metrics.replicated_writes.labels(outcome)
    for damage in Damage:
        metrics.store_damage.labels(damage)
    for reload in ReloadOutcome:
        metrics.config_reloads.labels(reload)
    for kind in CredentialKind:
        for refreshed in REFRESHES:
            metrics.refreshes.labels(kind, refreshed)
    metrics.callers_refused.labels("", Unauthenticated.reason)


def expect_callers(metrics: Metrics, callers: Iterable[str]) -> None:
    """Show what is counted of each caller."""
    for caller in callers:
        metrics.caller_calls.labels(caller)
        metrics.forced_fetches.labels(caller)
        for error in (CallerNotAllowed, CallerLimited):
            metrics.callers_refused.labels(caller, error.reason)


def expect_callbacks(metrics: Metrics, names: Iterable[str]) -> None:
    """Show what is counted of each app, suite or provider with a callback."""
    for name in names:
        for outcome in CALLBACKS:
            metrics.callbacks.labels(name, outcome)
        for form in ReceiverForm:
            metrics.callback_receivers.labels(name, form)


def expect_suites(metrics: Metrics, names: Iterable[str]) -> None:
    """Show what is counted of each suite."""
    for name in names:
        for outcome in ("newest", "older"):
            metrics.suite_tickets.labels(name, outcome)
        for state in (InstallationState.DONE, InstallationState.LOST, InstallationState.TAKEN):
            metrics.exchanges.labels(name, state)


def expect_shares(metrics: Metrics, names: Iterable[str]) -> None:
    """Show what is counted of each app or suite that is shared, and has a callback."""
    for name in names:
        metrics.shares_ended_unannounced.labels(name)


def expect_endpoints(metrics: Metrics, endpoints: Iterable[str]) -> None:
    """Show what is counted of each endpoint of WeCom; an errcode begins with its first answer."""
    for endpoint in endpoints:
        metrics.upstream_seconds.labels(endpoint)
        for outcome in NO_ANSWERS:
            metrics.upstream_calls.labels(endpoint, outcome)
