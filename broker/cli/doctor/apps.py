"""What the doctor looks at in apps: refusals, limits, and what corps allow suites."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, timedelta

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.app.checkup.finding import Finding, Level
from broker.cli.doctor.facts import Facts
from broker.cli.operating.plain import ago, moment

PASSING = frozenset(
    {"WECOM_UNAVAILABLE", "WECOM_PROTOCOL", "RATE_LIMITED", "APP_NOT_SHARED", "INVALID_REQUEST"}
)
"""Refusals that end by themselves, or concern one child: a warning."""
HIGH = 0.8
"""From which share on the use of a limit is told of."""
SOON = timedelta(days=14)
"""How long before its end a permission is told of."""


def refusals(facts: Facts) -> Iterator[Finding]:
    """Yield what WeCom refused and is remembered; the same of many corps once."""
    alike: defaultdict[tuple[str, str, int, str], list[pb.Refusal]] = defaultdict(list)
    for refusal in facts.refusals:
        alike[refusal.app, refusal.reason, refusal.errcode, refusal.remedy].append(refusal)
    for (app, reason, errcode, remedy), found in alike.items():
        first = min(found, key=lambda refusal: refusal.since_time.ToNanoseconds())
        calls = sum(refusal.call_count for refusal in found)
        words = [
            f"{reason} {errcode or ''}".strip(),
            f"at {first.endpoint}" if first.endpoint else "",
            f"WeCom sees {first.ip}" if first.ip else "",
            f"since {moment(first.since_time)}",
            f"next try {ago(first.retry_time, facts.now)}",
            f"{len(found)} credentials" if len(found) > 1 else "",
            f"met by {calls} call{'' if calls == 1 else 's'}",
        ]
        level = Level.WARN if reason in PASSING else Level.FAIL
        yield Finding(level, app or first.corp_id, ", ".join(filter(None, words)), remedy)
    refused = {refusal.app for refusal in facts.refusals}
    for known in facts.apps:
        if known.name not in refused:
            yield Finding(Level.OK, known.name, "nothing is refused")


def quotas(facts: Facts) -> Iterator[Finding]:
    """Yield which of WeCom's limits are nearly used up, or closed."""
    for quota in facts.quotas:
        used = quota.used_count / quota.limit_count if quota.limit_count else 0.0
        closed = quota.HasField("closed_until_time")
        if used < HIGH and not closed:
            continue
        whose = f"agent {quota.agent_id} in {quota.corp_id}" if quota.agent_id else quota.corp_id
        problem = f"{whose}: {quota.used_count} of {quota.limit_count} used"
        if closed:
            problem += f", closed by WeCom, opens {ago(quota.closed_until_time, facts.now)}"
        if quota.callers:
            callers = ", ".join(f"{use.caller} {use.count}" for use in quota.callers)
            problem += f"; fetched because of reports and refreshes: {callers}"
        level = Level.FAIL if closed or used >= 1 else Level.WARN
        remedy = (
            "find out why that caller reports valid tickets as dead" if quota.callers else "call less often"
        )
        yield Finding(level, quota.endpoint, problem, remedy)


def suites(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with suite_tickets and authorisations."""
    for suite in facts.status.suites:
        yield from _ticket(facts, suite)
        if suite.lost_count:
            problem = f"{suite.lost_count} authorisation(s) LOST: the exchange's answer never came"
            remedy = f"wecom-broker suites list {suite.app}; the corp installs again, or 重新获取secret"
            yield Finding(Level.FAIL, suite.app, problem, remedy)
        if suite.reauthorization_required_count:
            problem = f"{suite.reauthorization_required_count} corp(s) must authorise again"
            remedy = f"wecom-broker suites list {suite.app}; ask their administrators"
            yield Finding(Level.WARN, suite.app, problem, remedy)
        if suite.HasField("next_permission_expire_time"):
            end = suite.next_permission_expire_time
            if end.ToDatetime(UTC) - facts.now < SOON:
                remedy = f"wecom-broker suites list {suite.app}; have the corp renew it"
                yield Finding(
                    Level.WARN, suite.app, f"a corp's permission ends {ago(end, facts.now)}", remedy
                )


def _ticket(facts: Facts, suite: pb.SuiteStatus) -> Iterator[Finding]:
    ended = not suite.HasField("ticket_expire_time") or suite.ticket_expire_time.ToDatetime(UTC) <= facts.now
    if suite.ticket_problem:
        level = Level.FAIL if ended else Level.WARN
        remedy = "press 刷新ticket in the provider's console, and look at the callback address"
        yield Finding(level, suite.app, f"suite_ticket: {suite.ticket_problem}", remedy)
    elif suite.HasField("ticket_time"):
        yield Finding(Level.OK, suite.app, f"suite_ticket came {ago(suite.ticket_time, facts.now)}")
