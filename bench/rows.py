"""The figures of a run: every benchmark tells its own, and `python -m bench` makes one table of them."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FILE = "BENCH_ROWS"
"""The variable of the environment that names the file in which a run collects its rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: a ratio, or something for each item, so that it says the same on a busy machine."""

    figure: str
    value: float
    unit: str
    how: str
    """How it was measured; where it is a ratio to an empty handler, how that is registered."""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        """Return what the figure must be, if that was settled."""
        if self.at_least is not None:
            return f"≥ {self.at_least:,g}"
        return f"≤ {self.at_most:,g}" if self.at_most is not None else ""

    @property
    def verdict(self) -> str:
        """Return whether it is so."""
        if not self.goal:
            return ""
        met = self.value >= (self.at_least or 0) and (self.at_most is None or self.value <= self.at_most)
        return "met" if met else "missed"


def tell(*rows: Row) -> None:
    """Print rows, and add them to the file of the run."""
    for row in rows:
        print(f"{row.figure}: {row.value:,.4g} {row.unit} {row.goal and f'(goal {row.goal})'}", flush=True)
    if file := os.environ.get(FILE):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def told(file: Path) -> list[Row]:
    """Return the rows of a run, in the order in which they were told."""
    return [Row(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown."""
    cells = [("figure", "measured", "goal", "", "how"), ("---",) * 5]
    cells += [(row.figure, f"{row.value:,.4g} {row.unit}", row.goal, row.verdict, row.how) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def write(rows: list[Row], file: Path) -> None:
    """Write the rows as JSON."""
    rounded = [replace(row, value=float(f"{row.value:.6g}")) for row in rows]
    found = [{**asdict(row), "verdict": row.verdict} for row in rounded]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"rows": found}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
