"""Everything that is looked at."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from broker.server.diagnosis import apps, groups, recent, replicas
from broker.server.diagnosis.finding import Facts, Finding, Level

Check = Callable[[Facts], Iterator[Finding]]
OF_REPLICAS: Sequence[Check] = (
    replicas.replicas,
    replicas.dependencies,
    recent.slowness,
    replicas.clocks,
    replicas.configuration,
    replicas.seal_keys,
    replicas.certificates,
)
OF_APPS: Sequence[Check] = (apps.refusals, apps.quotas, apps.suites, groups.groups)
RECENT: Sequence[Check] = (recent.callers, recent.callbacks, recent.shares)
"""What passed: the state of nothing shows it any more."""
WORST_FIRST = list(Level)


def examine(facts: Facts, checks: Sequence[Check] = (*OF_REPLICAS, *OF_APPS, *RECENT)) -> list[Finding]:
    """Return everything that was looked at."""
    return [finding for check in checks for finding in check(facts)]


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings as they are shown."""
    return sorted(found, key=lambda finding: WORST_FIRST.index(finding.level))
