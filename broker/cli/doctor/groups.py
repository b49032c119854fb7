"""What the doctor looks at in groups of subscribers: lag, and dead events."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from broker.app.checkup.finding import Finding, Level
from broker.cli.doctor.facts import Facts
from broker.cli.operating.plain import span

BEHIND = timedelta(minutes=5)


def groups(facts: Facts) -> Iterator[Finding]:
    """Yield which groups are behind, and which gave events up."""
    for group in facts.groups:
        subject = f"group {group.group} of {group.app}"
        if group.dead_count:
            remedy = f"wecom-broker events dead {group.group} {group.app}"
            yield Finding(Level.WARN, subject, f"{group.dead_count} dead events", remedy)
        if not group.HasField("oldest_time"):
            continue
        behind = facts.now - group.oldest_time.ToDatetime(UTC)
        if behind < BEHIND:
            continue
        words = [f"{group.open_count} events open, the first for {span(behind)}"]
        if group.failed_attempt_count:
            words.append(f"tried {group.failed_attempt_count} times: {group.oldest_event_id}")
        if group.member_count:
            remedy = "look at the subscriber's log: it does not acknowledge"
        else:
            words.append("nobody subscribes")
            remedy = f"start the subscriber, or: wecom-broker events delete-group {group.group} {group.app}"
        yield Finding(Level.WARN, subject, ", ".join(words), remedy)
