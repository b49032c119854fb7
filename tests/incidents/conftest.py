"""The table at the end: each incident, what the operator was told, and whether that helped."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the incidents that were staged."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    rows = [value for report in reports for name, value in report.user_properties if name == "incident"]
    if not rows:
        return
    terminalreporter.section("incidents")
    for name, line, alert, remedy, worked in rows:
        terminalreporter.line(f"{name}\n    doctor  {line}\n    alert   {alert}\n    remedy  {remedy}")
        terminalreporter.line(f"    worked  {'yes' if worked else 'NO'}")
    named, worked = sum(bool(row[1]) for row in rows), sum(row[4] for row in rows)
    terminalreporter.line(f"cause named in {named} of {len(rows)}, remedy worked in {worked} of {len(rows)}")
