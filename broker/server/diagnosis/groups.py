"""What the diagnosis looks at in groups of subscribers: lag, and dead events."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from broker.server.diagnosis.finding import Facts, Finding, Level

BEHIND = timedelta(minutes=5)


def groups(facts: Facts) -> Iterator[Finding]:
    """Yield which groups are behind, and which gave events up."""
    words = facts.words
    for group in facts.groups:
        names = {"group": group.group, "app": group.app}
        subject = words.say("group {group} of {app}", **names)
        if group.dead_count:
            problem = words.say("{count} dead event(s)", count=group.dead_count)
            remedy = words.say("wecom-broker events dead {group} {app}", **names)
            yield Finding(Level.WARN, subject, problem, remedy)
        if not group.HasField("oldest_time"):
            continue
        behind = facts.now - group.oldest_time.ToDatetime(UTC)
        if behind < BEHIND:
            continue
        attempts, nobody = group.failed_attempt_count, not group.member_count
        problem = words.joined(
            words.say(
                "{count} event(s) open, the first for {span}", count=group.open_count, span=words.span(behind)
            ),
            words.say("tried {count} time(s): {event}", count=attempts, event=group.oldest_event_id)
            if attempts
            else "",
            words.say("nobody subscribes") if nobody else "",
        )
        if nobody:
            remedy = words.say(
                "start the subscriber, or: wecom-broker events delete-group {group} {app}", **names
            )
        else:
            remedy = words.say("look at the subscriber's log: it does not acknowledge")
        yield Finding(Level.WARN, subject, problem, remedy)
