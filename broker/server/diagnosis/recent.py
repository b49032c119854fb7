"""What the diagnosis looks at in the last problems: callers that are refused, and callbacks."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.server.diagnosis.finding import Facts, Finding, Level
from broker.telemetry.recent_problems import LATELY
from broker.usecases.refusals.remedies import known_of

SLOW = timedelta(seconds=1)
MANY_CALLBACKS = 3
"""The URL is public: fewer that are refused may be a stranger's."""

OF_CALLERS = {
    "CALLER_NOT_ALLOWED": "give it a rule that covers this; to see which key misses it:"
    " wecom-broker check-config --explain {caller} ACTION APP CORP",
    "CALLER_LIMITED": "have it keep tokens until expire_time, or raise limits of callers {caller} and reload",
    "UNAUTHENTICATED": "give it the certificate or token that [[callers]] names, or find out who it is",
}
KEYS = "compare EncodingAESKey with 接收消息 in WeCom's console, then reload"
OF_CALLBACKS = {
    "signature": "compare Token with 接收消息 in WeCom's console, then reload; else somebody else calls",
    "timestamp": "compare the clocks (NTP), and how long a proxy holds requests (max_age_seconds)",
    "sender": "behind a proxy set server.trusted_proxies; else somebody else calls (check_sender)",
    "receive_id": "the URL in WeCom's console is another app's: compare it",
    **dict.fromkeys(("padding", "encoding", "length"), KEYS),
    "store_unavailable": "bring the store back: see the line of the store",
}

OF_SHARES = (
    "compare the callback and its events in WeCom's console; then: wecom-broker shares sync {app}{parent}"
)


def callers(facts: Facts) -> Iterator[Finding]:
    """Yield which callers are refused, and what they asked for."""
    words = facts.words
    for found in _lately(facts, "caller"):
        reason, _, asked = found.detail.partition(" ")
        cure = OF_CALLERS.get(reason, "look at the audit trail: wecom-broker audit")
        problem = f"{reason}: {asked}, " if asked else f"{reason} "
        subject = words.say("caller {name}", name=found.subject or words.say("a stranger"))
        yield Finding(
            Level.WARN,
            subject,
            problem + _how_often(facts, found),
            words.say(cure, caller=found.subject or "CALLER"),
        )


def callbacks(facts: Facts) -> Iterator[Finding]:
    """Yield which callbacks are refused, and why."""
    words = facts.words
    for found in _lately(facts, "callback"):
        level = Level.FAIL if found.count > MANY_CALLBACKS else Level.WARN
        problem = words.say(
            "{count} refused by {why}, the last {ago}",
            count=found.count,
            why=found.detail,
            ago=words.ago(found.last_time, facts.now),
        )
        cure = OF_CALLBACKS.get(found.detail, "look at the broker's log")
        yield Finding(level, words.say("callback {app}", app=found.subject), problem, words.say(cure))


def shares(facts: Facts) -> Iterator[Finding]:
    """Yield which apps' shares ended without an event: the callback may be broken."""
    words = facts.words
    for found in _lately(facts, "share"):
        problem = words.say("shares ended, and no event said so: {often}", often=_how_often(facts, found))
        cure = words.say(OF_SHARES, **known_of(facts.whose(found.subject), {}))
        yield Finding(Level.WARN, found.subject, problem, cure)


def slowness(facts: Facts) -> Iterator[Finding]:
    """Yield whether WeCom is slow: callers wait for what must be fetched."""
    words = facts.words
    for found in facts.status.dependencies:
        takes = found.answer_duration.ToTimedelta()
        if found.healthy and takes > SLOW:
            problem = words.say(
                "answers slowly: {seconds} s on the average", seconds=f"{takes.total_seconds():.1f}"
            )
            cure = words.say(
                "look at the network, and at [wecom] proxy; else wait: valid tokens are served meanwhile"
            )
            yield Finding(Level.WARN, found.name, problem, cure)


def _lately(facts: Facts, kind: str) -> Iterator[pb.RecentProblem]:
    for found in facts.status.problems:
        if found.kind == kind and facts.now - found.last_time.ToDatetime(UTC) < LATELY:
            yield found


def _how_often(facts: Facts, found: pb.RecentProblem) -> str:
    if found.count == 1:
        return facts.words.say("once, {ago}", ago=facts.words.ago(found.last_time, facts.now))
    lasts = found.last_time.ToDatetime(UTC) - found.first_time.ToDatetime(UTC)
    return facts.words.say(
        "{count} times within {span}, the last {ago}",
        count=found.count,
        span=facts.words.span(lasts),
        ago=facts.words.ago(found.last_time, facts.now),
    )
