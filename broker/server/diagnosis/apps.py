"""What the diagnosis looks at in apps: refusals, limits, and what corps allow suites."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, timedelta

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.errors import KINDS
from broker.server.diagnosis.finding import Facts, Finding, Level
from broker.usecases.refusals.remedies import Whose, known_of, sentence_of

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
    words = facts.words
    alike: defaultdict[tuple[str, str, int, str], list[pb.Refusal]] = defaultdict(list)
    for refusal in facts.refusals:
        # The remedy may name a corp: then only its sentence is the same.
        remedy_alike = _sentence(facts, refusal) or refusal.remedy
        alike[refusal.app, refusal.reason, refusal.errcode, remedy_alike].append(refusal)
    for (app, reason, errcode, _), found in alike.items():
        first = min(found, key=lambda refusal: refusal.since_time.ToNanoseconds())
        calls = sum(refusal.call_count for refusal in found)
        problem = words.joined(
            f"{reason} {errcode or ''}".strip(),
            words.say("at {endpoint}", endpoint=first.endpoint) if first.endpoint else "",
            words.say("WeCom sees {ip}", ip=first.ip) if first.ip else "",
            words.say("since {moment}", moment=words.moment(first.since_time)),
            words.say("next try {ago}", ago=words.ago(first.retry_time, facts.now)),
            words.say("{count} credentials", count=len(found)) if len(found) > 1 else "",
            words.say("met by 1 call") if calls == 1 else words.say("met by {count} calls", count=calls),
        )
        level = Level.WARN if reason in PASSING else Level.FAIL
        yield Finding(level, app or first.corp_id, problem, remedy(facts, first))
    refused = {refusal.app for refusal in facts.refusals}
    for known in facts.apps:
        if known.name not in refused:
            yield Finding(Level.OK, known.name, words.say("nothing is refused"))


def remedy(facts: Facts, refusal: pb.Refusal) -> str:
    """Return what clears a refusal: translated if that is known, else as the broker said it."""
    sentence = _sentence(facts, refusal)
    if facts.words.known(sentence) is None:
        return refusal.remedy
    whose = _whose(facts, refusal)
    return facts.words.say(sentence, **known_of(whose, {"ip": refusal.ip, "endpoint": refusal.endpoint}))


def _sentence(facts: Facts, refusal: pb.Refusal) -> str:
    kind = KINDS.get(refusal.reason)
    return sentence_of(kind, _whose(facts, refusal)) if kind else ""


def _whose(facts: Facts, refusal: pb.Refusal) -> Whose:
    return facts.whose(refusal.app, refusal.corp_id, refusal.parent_corp_id)


def quotas(facts: Facts) -> Iterator[Finding]:
    """Yield which of WeCom's limits are nearly used up, or closed."""
    words = facts.words
    for quota in facts.quotas:
        used = quota.used_count / quota.limit_count if quota.limit_count else 0.0
        closed = quota.HasField("closed_until_time")
        if used < HIGH and not closed:
            continue
        whose = quota.corp_id
        if quota.agent_id:
            whose = words.say("agent {agent} in {corp}", agent=quota.agent_id, corp=quota.corp_id)
        problem = words.say(
            "{whose}: {used} of {limit} used", whose=whose, used=quota.used_count, limit=quota.limit_count
        )
        if closed:
            opens = words.ago(quota.closed_until_time, facts.now)
            problem += words.say(", closed by WeCom, opens {ago}", ago=opens)
        if quota.callers:
            callers = words.joined(*(f"{use.caller} {use.count}" for use in quota.callers))
            problem += words.say("; fetched because of reports and refreshes: {callers}", callers=callers)
        level = Level.FAIL if closed or used >= 1 else Level.WARN
        cure = (
            words.say("find out why that caller reports valid tickets as dead")
            if quota.callers
            else words.say("call less often")
        )
        yield Finding(level, quota.endpoint, problem, cure)


def suites(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with suite_tickets and authorisations."""
    words = facts.words
    for suite in facts.status.suites:
        yield from _ticket(facts, suite)
        yield from _lost(facts, suite)
        if count := suite.reauthorization_required_count:
            yield Finding(
                Level.WARN,
                suite.app,
                words.say("{count} corp(s) must authorise again", count=count),
                words.say("wecom-broker suites list {app}; ask their administrators", app=suite.app),
            )
        if suite.HasField("next_permission_expire_time"):
            end = suite.next_permission_expire_time
            if end.ToDatetime(UTC) - facts.now < SOON:
                yield Finding(
                    Level.WARN,
                    suite.app,
                    words.say("a corp's permission ends {ago}", ago=words.ago(end, facts.now)),
                    words.say("wecom-broker suites list {app}; have the corp renew it", app=suite.app),
                )


def _lost(facts: Facts, suite: pb.SuiteStatus) -> Iterator[Finding]:
    words, followed = facts.words, suite.lost_followed_count
    if count := suite.lost_count - followed:
        yield Finding(
            Level.FAIL,
            suite.app,
            words.say("{count} authorisation(s) LOST: the exchange's answer never came", count=count),
            words.say(
                "wecom-broker suites list {app}; the corp installs again, or 重新获取secret", app=suite.app
            ),
        )
    if followed:
        yield Finding(
            Level.WARN,
            suite.app,
            words.say("{count} authorisation(s) LOST, and as many installed since", count=followed),
            words.say("if these are the same corps: wecom-broker retry {app}", app=suite.app),
        )


def _ticket(facts: Facts, suite: pb.SuiteStatus) -> Iterator[Finding]:
    words = facts.words
    ended = not suite.HasField("ticket_expire_time") or suite.ticket_expire_time.ToDatetime(UTC) <= facts.now
    if suite.ticket_problem:
        level = Level.FAIL if ended else Level.WARN
        cure = words.say("press 刷新ticket in the provider's console, and look at the callback address")
        yield Finding(level, suite.app, f"suite_ticket: {suite.ticket_problem}", cure)
    elif suite.HasField("ticket_time"):
        came = words.say("suite_ticket came {ago}", ago=words.ago(suite.ticket_time, facts.now))
        yield Finding(Level.OK, suite.app, came)
