"""Apps × corps: what this replica holds, and what the fleet remembers of WeCom's refusals, as rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broker.domain.credentials import Freshness
from broker.protocol.error_codes import ANSWERED
from broker.server.diagnosis.examination import WORST_FIRST
from broker.server.diagnosis.finding import Level
from broker.server.diagnosis.words import Words
from broker.usecases.admin import CredentialView
from broker.usecases.refusals.refusals import Refusal

MISSING, REFUSED = "missing", "refused"
LEVELS = {
    Freshness.FRESH: Level.OK,
    Freshness.AGEING: Level.OK,
    Freshness.NEARLY_GONE: Level.WARN,
    Freshness.EXPIRED: Level.FAIL,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A credential, or something else that was refused."""

    app: str
    corp_id: str
    share_kind: str
    """`own` in the app's own corp; empty where no corp is meant."""
    kind: str
    """Of a credential; of what else is refused, WeCom's path, or empty for a share list."""
    state: str
    level: Level
    ends: datetime | None
    error: str
    error_at: datetime | None
    kept_until: datetime | None
    """Until when WeCom is not asked because of the error."""
    answer: Mapping[str, str] = field(default_factory=dict)
    """The error's metadata: what WeCom answered."""

    @property
    def order(self) -> tuple[int, str, str, str]:
        """Return what rows are sorted by: the worst first."""
        return WORST_FIRST.index(self.level), self.app, self.corp_id, self.kind

    def error_in(self, words: Words) -> str:
        """Return the error in a language; what WeCom did not answer stays English."""
        reason, _, message = self.error.partition(": ")
        if message and message == ANSWERED.format_map(defaultdict(str, self.answer)):
            return f"{reason}: {words.say(ANSWERED, **self.answer)}"
        return self.error

    def has(self, text: str) -> bool:
        """Return whether an operator who looks for the text means this row."""
        return text in self.app.lower() or text in self.corp_id.lower() or text in self.error.lower()


def rows_of(views: Iterable[CredentialView], refusals: Sequence[Refusal]) -> list[Row]:
    """Return a row for each credential, and for each refusal that concerns none of them."""
    refused = {refusal.scope: refusal for refusal in refusals}
    rows = [_row(view, refused.pop(view.key.name, None)) for view in views]
    return [*rows, *map(_refused_alone, refused.values())]


def _row(view: CredentialView, refusal: Refusal | None) -> Row:
    key, error = view.key, view.last_error
    level = Level.FAIL if view.state is None else LEVELS[view.state]
    text = f"{error.reason}: {error.message}" if error else ""
    return Row(
        app=key.app,
        corp_id=key.corp_id,
        share_kind=key.share_kind,
        kind=key.kind,
        state=MISSING if view.state is None else view.state.name.lower().replace("_", " "),
        # Valid, and not to be renewed: callers get errors once it ends.
        level=min(level, Level.WARN, key=WORST_FIRST.index) if refusal else level,
        ends=view.expires_at,
        error=f"{refusal.reason}: {refusal.message}" if refusal else text,
        answer=refusal.metadata if refusal else error.metadata if error else {},
        error_at=refusal.since if refusal else view.last_error_at,
        kept_until=refusal.retry_at if refusal else None,
    )


def _refused_alone(refusal: Refusal) -> Row:
    return Row(
        app=refusal.app,
        corp_id=refusal.corp_id,
        share_kind=refusal.share_kind,
        kind=refusal.kind or refusal.metadata.get("endpoint", "" if refusal.app else refusal.scope),
        state=REFUSED,
        level=Level.FAIL if refusal.kind else Level.WARN,
        ends=None,
        error=f"{refusal.reason}: {refusal.message}",
        answer=refusal.metadata,
        error_at=refusal.since,
        kept_until=refusal.retry_at,
    )
