"""Convert what operators look at to messages. No value of a credential is in them."""

from collections.abc import Mapping
from datetime import datetime

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.apps import App
from broker.domain.credentials import CredentialKind, Freshness
from broker.domain.events.event import event_id
from broker.domain.events.log import Lag
from broker.domain.replica.clocks import ClockComparison
from broker.domain.replica.health import ConfigStatus, Dependency, ReloadOutcome
from broker.domain.replica.report import SealUse, SeenReplica
from broker.domain.stores.status import StoreStatus
from broker.domain.suites.suite import Provider, Suite
from broker.domain.suites.view import ViewState
from broker.server.grpc.messages import SHARE_KINDS_OUT
from broker.telemetry.recent_problems import RecentProblem
from broker.usecases.admin import CredentialView
from broker.usecases.limits.rate_gate import QuotaUse
from broker.usecases.refusals.refusals import Refusal
from broker.usecases.replicas.cures import CURES
from broker.usecases.suite_status import SuiteStatus

PROVIDER = "provider"
"""The kind of a provider, which is no app."""

STATES = {
    Freshness.FRESH: pb.CREDENTIAL_STATE_FRESH,
    Freshness.AGEING: pb.CREDENTIAL_STATE_AGEING,
    Freshness.NEARLY_GONE: pb.CREDENTIAL_STATE_NEARLY_GONE,
    Freshness.EXPIRED: pb.CREDENTIAL_STATE_EXPIRED,
}
RELOAD_OUTCOMES = {
    ReloadOutcome.APPLIED: pb.RELOAD_OUTCOME_APPLIED,
    ReloadOutcome.REFUSED: pb.RELOAD_OUTCOME_REFUSED,
}
KINDS = {
    CredentialKind.ACCESS_TOKEN: pb.CREDENTIAL_KIND_ACCESS_TOKEN,
    CredentialKind.CORP_TICKET: pb.CREDENTIAL_KIND_CORP_TICKET,
    CredentialKind.AGENT_TICKET: pb.CREDENTIAL_KIND_AGENT_TICKET,
    CredentialKind.SUITE_TOKEN: pb.CREDENTIAL_KIND_SUITE_TOKEN,
    CredentialKind.PROVIDER_TOKEN: pb.CREDENTIAL_KIND_PROVIDER_TOKEN,
}
LOG_LEVELS = {
    "debug": pb.LOG_LEVEL_DEBUG,
    "info": pb.LOG_LEVEL_INFO,
    "warning": pb.LOG_LEVEL_WARNING,
    "error": pb.LOG_LEVEL_ERROR,
}
LOG_LEVELS_IN: dict[int, str] = {message: name for name, message in LOG_LEVELS.items()}
KINDS_IN: dict[int, CredentialKind] = {
    pb.CREDENTIAL_KIND_UNSPECIFIED: CredentialKind.ACCESS_TOKEN,
    **{message: kind for kind, message in KINDS.items()},
}


def app(found: App | Suite | Provider) -> pb.App:
    """Return the message of a configured app, suite or provider."""
    if isinstance(found, Provider):
        return pb.App(name=found.name, kind=PROVIDER, corp_id=found.corp_id)
    share_kinds = [SHARE_KINDS_OUT[kind] for kind in found.share_kinds]
    if isinstance(found, Suite):
        return pb.App(
            name=found.name,
            kind=found.kind,
            share_kinds=share_kinds,
            suite_id=found.suite_id,
            provider=found.provider.name,
        )
    return pb.App(
        name=found.name,
        kind=found.kind,
        corp_id=found.corp_id,
        agent_id=found.agent_id,
        share_kinds=share_kinds,
    )


def credential_info(view: CredentialView) -> pb.CredentialInfo:
    """Return the message of a credential, without its value."""
    error = view.last_error
    return pb.CredentialInfo(
        app=view.key.app,
        corp_id=view.key.corp_id,
        agent_id=view.key.agent_id,
        share_kind=SHARE_KINDS_OUT[view.key.share_kind],
        kind=KINDS[view.key.kind],
        state=pb.CREDENTIAL_STATE_MISSING if view.state is None else STATES[view.state],
        generation=view.generation,
        age=view.age,
        expire_time=view.expires_at,
        last_error=f"{error.reason}: {error.message}" if error else "",
        last_error_time=view.last_error_at,
        watcher_count=view.watchers,
    )


def refusal(found: Refusal) -> pb.Refusal:
    """Return the message of a remembered error."""
    return pb.Refusal(
        app=found.app,
        corp_id=found.corp_id,
        agent_id=found.agent_id,
        share_kind=SHARE_KINDS_OUT[found.share_kind],
        kind=KINDS[found.kind] if found.kind else pb.CREDENTIAL_KIND_UNSPECIFIED,
        reason=found.reason,
        message=found.message,
        errcode=int(found.metadata.get("errcode", 0)),
        endpoint=found.metadata.get("endpoint", ""),
        ip=found.metadata.get("ip", ""),
        since_time=found.since,
        retry_time=found.retry_at,
        caller_count=found.callers,
        call_count=found.calls,
        remedy=found.remedy,
        parent_corp_id=found.parent_corp_id,
    )


def quota(use: QuotaUse) -> pb.Quota:
    """Return the message of one limit."""
    return pb.Quota(
        endpoint=use.endpoint,
        corp_id=use.corp_id,
        window=use.limit.window,
        used_count=use.used,
        limit_count=use.limit.most,
        closed_until_time=use.closed_until,
        agent_id=use.agent_id,
        callers=[pb.CallerUse(caller=name, count=count) for name, count in use.callers.items()],
    )


def seal_key(use: SealUse) -> pb.SealKeyUse:
    """Return the message of a seal key."""
    return pb.SealKeyUse(id=use.id, seals=use.seals, configured=use.configured, count=use.count)


def certificates(ends: Mapping[str, datetime]) -> list[pb.Certificate]:
    """Return the messages of when certificates end."""
    return [pb.Certificate(file=key, end_time=end) for key, end in sorted(ends.items())]


def replica(seen: SeenReplica, now: datetime, *, current: bool) -> pb.ReplicaInfo:
    """Return the message of a replica."""
    message = pb.ReplicaInfo(
        name=seen.name,
        report_time=seen.at,
        silent=seen.is_silent(now),
        current=current,
        unreadable=seen.report is None,
    )
    if report := seen.report:
        said = pb.ReplicaInfo(
            version=report.version,
            start_time=report.started_at,
            serving=not report.obstacle,
            obstacle=report.obstacle,
            wecom_healthy=report.wecom_healthy,
            wecom_error=report.wecom_error,
            credential_count=report.credentials,
            clock_problem=report.clock_problem,
            seal_keys=map(seal_key, report.seal_keys),
            certificates=certificates(report.certificates),
        )
        message.MergeFrom(said)
    return message


def event_group(lag: Lag) -> pb.EventGroup:
    """Return the message of a group."""
    return pb.EventGroup(
        app=lag.app,
        group=lag.group,
        open_count=lag.open,
        dead_count=lag.dead,
        member_count=lag.members,
        oldest_time=lag.oldest,
        oldest_event_id=event_id(lag.app, lag.stuck) if lag.stuck else "",
        failed_attempt_count=lag.attempts,
    )


def dependency(found: Dependency) -> pb.Dependency:
    """Return the message of a dependency, with what brings it back."""
    return pb.Dependency(
        name=found.name,
        healthy=found.healthy,
        since_time=found.since,
        last_error=found.last_error,
        remedy="" if found.healthy else CURES[found.name](found.last_error),
        answer_duration=found.answers_in,
    )


def recent_problem(found: RecentProblem) -> pb.RecentProblem:
    """Return the message of something that went wrong lately."""
    return pb.RecentProblem(
        kind=found.kind,
        subject=found.subject,
        detail=found.detail,
        first_time=found.first_at,
        last_time=found.last_at,
        count=found.count,
    )


def suite_status(found: SuiteStatus) -> pb.SuiteStatus:
    """Return the message of how a suite is doing."""
    return pb.SuiteStatus(
        app=found.suite,
        ticket_time=found.ticket.pushed_at,
        ticket_expire_time=found.ticket.expires_at,
        ticket_problem=found.ticket.problem,
        next_permission_expire_time=found.next_permission_end,
        lost_followed_count=found.lost_followed,
        **_counts(found.counts),
    )


def clock_status(found: ClockComparison) -> pb.ClockStatus:
    """Return the message of the clocks that a replica hears."""
    return pb.ClockStatus(
        going_by=found.trusted or "",
        skews=[pb.ClockSkew(clock=witness, ahead=ahead) for witness, ahead in sorted(found.told.items())],
        problem=found.problem,
    )


def store_status(found: StoreStatus) -> pb.StoreStatus:
    """Return the message of what the store consists of."""
    return pb.StoreStatus(
        topology=found.topology,
        primaries=[
            pb.StorePrimary(
                address=primary.address,
                replica_count=primary.replicas,
                lag=primary.lag,
                lag_bytes=primary.lag_bytes,
            )
            for primary in found.primaries
        ],
    )


def config_status(found: ConfigStatus) -> pb.ConfigStatus:
    """Return the message of what became of the configuration."""
    return pb.ConfigStatus(
        load_time=found.loaded_at,
        outcome=RELOAD_OUTCOMES[found.outcome],
        problems=found.problems,
        restart_needed=found.restart_needed,
    )


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the fields that count authorisations."""
    return {f"{state}_count": counts.get(state, 0) for state in ViewState}
