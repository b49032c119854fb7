"""The matrix as people read it."""

from collections.abc import Sequence

from tests.chaos.callers import Tally
from tests.chaos.verdict import Verdict

CAPTION = """\
warm, pages: GetAccessToken and SignPage for what is in memory: made / made again / failed. A caller knows
all addresses. A call that ends with UNAVAILABLE or CANCELLED, or has no answer within 10 s, is made again,
once at each other address; so one that was at a killed broker has failed only if the others fail too.
cold: first calls for a token, by two callers at once; they fail while nobody can reach WeCom.
WeCom: calls for tokens and tickets, and how many the engine's rules allow.
events: callbacks answered with success of those sent (WeCom sends each four times at most) / not delivered.
codes: permanent codes that WeCom handed out / that some broker lacks.
?: events and codes that counted though no replica proved in time that it had them; a failover may lose these,
and no others (docs/operations.md, What a failover may lose).
coherent: seconds after the end of the fault (after its beginning, where the store heals by itself) until all
brokers hold the same tokens and nothing is outstanding."""

COLUMNS = (
    ("fault", 32),
    ("warm", 12),
    ("pages", 11),
    ("cold", 11),
    ("WeCom", 9),
    ("events", 11),
    ("codes", 6),
    ("?", 2),
    ("coherent", 8),
    ("", 4),
)


def head() -> str:
    """Return the names of the columns."""
    return _line([name for name, _ in COLUMNS])


def row(verdict: Verdict) -> str:
    """Return the cell's figures."""
    seen = verdict.seen
    return _line(
        [
            verdict.cell,
            _tally(seen.warm),
            _tally(seen.pages),
            _tally(seen.cold),
            f"{verdict.upstream} ≤ {verdict.bound}",
            f"{len(seen.accepted)} of {seen.sent} / {verdict.events_lost}",
            f"{verdict.codes} / {verdict.codes_lost}",
            str(verdict.unproven),
            "never" if verdict.coherent is None else f"{verdict.coherent:.1f} s",
            "FAIL" if verdict.problems else "ok",
        ]
    )


def _tally(tally: Tally) -> str:
    return f"{tally.made}/{tally.repeated}/{tally.failed.total()}"


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=True)).rstrip()
