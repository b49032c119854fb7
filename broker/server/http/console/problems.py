"""The problems on the page: what is wrong now, and then what passed lately."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from broker.domain.errors import KINDS
from broker.domain.ports.observer import Damage
from broker.server.diagnosis.finding import Level
from broker.server.diagnosis.recent import OF_CALLBACKS, OF_CALLERS, OF_SHARES
from broker.server.diagnosis.words import Words
from broker.server.http.console.overview import Seen
from broker.telemetry.recent_problems import ProblemKind, RecentProblem
from broker.usecases.refusals.remedies import REMEDIES as OF_REFUSALS
from broker.usecases.refusals.remedies import known_of

MOST = 50
OTHERWISE = "see the other lines, and the log"


@dataclass(frozen=True, slots=True)
class Problem:
    """One line."""

    level: Level
    subject: str
    problem: str
    remedy: str
    at: datetime | None = None
    """When it was last met; None = it is so now."""
    count: int = 0


def problems_of(seen: Seen) -> list[Problem]:
    """Return the lines, the worst first; no more than 50."""
    return list(islice(_all(seen), MOST))


def _all(seen: Seen) -> Iterator[Problem]:
    for found in seen.findings:
        yield Problem(found.level, found.subject, found.problem, found.remedy)
    for recent in seen.recent:
        yield _recent(recent, seen.facts.words)


def _recent(found: RecentProblem, words: Words) -> Problem:
    subject, problem = SAID[found.kind](found, words)
    return Problem(Level.WARN, subject, problem, _remedy(found, words), found.last_at, found.count)


def _remedy(found: RecentProblem, words: Words) -> str:
    first_word = found.detail.partition(" ")[0]
    kind = KINDS.get(first_word)
    if found.kind is ProblemKind.FETCH and kind and kind in OF_REFUSALS:
        return words.say(OF_REFUSALS[kind], **known_of(found.subject, {}))
    return words.say(
        REMEDIES.get(found.kind, {}).get(first_word, OTHERWISE), caller=found.subject, app=found.subject
    )


REMEDIES: Mapping[ProblemKind, Mapping[str, str]] = {
    ProblemKind.CALLBACK: OF_CALLBACKS,
    ProblemKind.CALLER: OF_CALLERS,
    ProblemKind.SHARE: {"": OF_SHARES},
    ProblemKind.DAMAGE: {
        **dict.fromkeys(Damage, "find out who writes to the store"),
        Damage.KEY_UNKNOWN: "give all replicas the same store.seal_keys, then reload",
    },
}
"""By the kind of problem and the first word of its detail."""

Say = Callable[[RecentProblem, Words], tuple[str, str]]


def _callback(found: RecentProblem, words: Words) -> tuple[str, str]:
    return found.subject or words.say("a stranger"), words.say("callback refused: {why}", why=found.detail)


def _caller(found: RecentProblem, words: Words) -> tuple[str, str]:
    return found.subject, words.say("refused: {why}", why=found.detail)


def _fetch(found: RecentProblem, words: Words) -> tuple[str, str]:
    return found.subject, words.say("not fetched: {why}", why=found.detail)


def _share(found: RecentProblem, words: Words) -> tuple[str, str]:
    return found.subject, words.say("shares ended, and no event said so")


def _store(found: RecentProblem, words: Words) -> tuple[str, str]:
    return "store", words.say("was unavailable: {why}", why=found.detail)


def _damage(found: RecentProblem, words: Words) -> tuple[str, str]:
    return "store", words.say("holds what this replica cannot use: {why}", why=found.detail)


def _readiness(found: RecentProblem, words: Words) -> tuple[str, str]:
    return words.say("this replica"), words.say("was not ready: {why}", why=found.detail)


def _background(found: RecentProblem, words: Words) -> tuple[str, str]:
    return found.subject, words.say("failed: {why}", why=found.detail)


SAID: Mapping[ProblemKind, Say] = {
    ProblemKind.CALLBACK: _callback,
    ProblemKind.CALLER: _caller,
    ProblemKind.FETCH: _fetch,
    ProblemKind.SHARE: _share,
    ProblemKind.STORE: _store,
    ProblemKind.DAMAGE: _damage,
    ProblemKind.READINESS: _readiness,
    ProblemKind.BACKGROUND: _background,
}
