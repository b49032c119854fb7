"""The table of `make bench`: what each benchmark tells is in it, in order, beside its goal."""

import json
from pathlib import Path

import pytest

from bench import rows
from bench.rows import Row

ROWS = [
    Row("warm ÷ empty", 1.0412, "×", "by processor time", at_least=1.0),
    Row("bytes a credential", 3740.0, "B", "by memory", at_most=1800),
    Row("cold herd", 1.1, "×", "by the clock"),
]


def test_what_benchmarks_tell_becomes_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rows.FILE, str(tmp_path / "rows"))
    for row in ROWS:
        rows.tell(row)
    told = rows.told(tmp_path / "rows")
    rows.write(told, tmp_path / "results" / "bench.json")
    written = json.loads((tmp_path / "results" / "bench.json").read_text(encoding="utf-8"))["rows"]

    assert told == ROWS
    assert rows.table(told).splitlines()[2:] == [
        "| warm ÷ empty | 1.041 × | ≥ 1 | met | by processor time |",
        "| bytes a credential | 3,740 B | ≤ 1,800 | missed | by memory |",
        "| cold herd | 1.1 × |  |  | by the clock |",
    ]
    assert [("met", 1.0), ("missed", None), ("", None)] == [
        (each["verdict"], each["at_least"]) for each in written
    ]
