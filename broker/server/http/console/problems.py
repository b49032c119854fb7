"""The problems on the page: what is wrong now, and then what passed lately."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from broker.domain.apps import AppKind
from broker.domain.errors import KINDS
from broker.domain.ports.observer import Damage
from broker.server.diagnosis.finding import Facts, Level
from broker.server.diagnosis.recent import OF_CALLBACKS, OF_CALLERS, OF_SHARES
from broker.server.diagnosis.words import Words
from broker.server.http.console.overview import Seen
from broker.telemetry.recent_problems import ProblemKind, RecentProblem
from broker.usecases.refusals.remedies import OF_PERMANENT_CODES, known_of, sentence_of

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
        yield _recent(recent, seen.facts)


def _recent(found: RecentProblem, facts: Facts) -> Problem:
    subject, problem = SAID[found.kind](found, facts.words)
    return Problem(Level.WARN, subject, problem, _remedy(found, facts), found.last_at, found.count)


def _remedy(found: RecentProblem, facts: Facts) -> str:
    first_word = found.detail.partition(" ")[0]
    whose = facts.whose(found.subject)
    sentence = REMEDIES.get(found.kind, {}).get(first_word, "")
    kind = KINDS.get(first_word)
    if found.kind is ProblemKind.FETCH and kind:
        # The corp is not known here, and so not which secret it was.
        is_unknown = whose.kind is AppKind.CUSTOMIZED and kind in OF_PERMANENT_CODES
        sentence = "" if is_unknown else sentence_of(kind, whose)
    return facts.words.say(sentence or OTHERWISE, caller=found.subject, **known_of(whose, {}))


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
