"""The dashboard is what its script makes, and it and the alerts ask for metrics that a broker shows."""

import json
import re
import runpy
import shutil
import subprocess
import urllib.request
from asyncio import to_thread
from pathlib import Path
from typing import Any

import pytest

from broker.simulator import demo_world
from tests.deploy.files import DEPLOY
from tests.kit.broker_here import broker_here
from tests.kit.processes.fleet import connect

FOLDER = DEPLOY / "grafana"
DASHBOARD = json.loads((FOLDER / "wecom-broker.json").read_text(encoding="utf-8"))
ALERTS = (DEPLOY / "prometheus-alerts.yaml").read_text(encoding="utf-8")
METRIC = re.compile(r"\b(?:wecom_broker|grpc_server|process)_[a-z_]+\b")
SELECTED = re.compile(rf"({METRIC.pattern})\{{([^}}]*)\}}")
PROMETHEUS_ADDS = {"job", "instance"}


def expressions() -> dict[str, str]:
    """Return what each panel asks, by its title and query."""
    panels: list[Any] = DASHBOARD["panels"]
    return {
        f"{panel['title']} {query['refId']} {number}": query["expr"]
        for number, panel in enumerate(panels)
        for query in panel.get("targets", ())
    }


def rules() -> list[str]:
    """Return the expressions of the alerts."""
    return re.findall(r"^ +expr: (?:\|\n)?((?:.|\n)+?)^ +(?:for|labels):", ALERTS, re.MULTILINE)


async def shown(folder: Path) -> dict[str, set[str]]:
    """Return the labels of each series that a broker shows, by the name of its metric.

    What this broker has none of (groups, suites) has no series: its labels are taken from its declaration.
    """
    async with broker_here(folder, demo_world()) as here, connect(here.address) as (replica,):
        await replica.token()
        address = f"http://127.0.0.1:{here.broker.http_port}/metrics"
        text = await to_thread(lambda: urllib.request.urlopen(address, timeout=60).read().decode())
        declared = vars(here.broker.telemetry.metrics).values()
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    for metric in declared:
        for name in (base := getattr(metric, "_name", ""), f"{base}_total"):
            if name in types:
                found.setdefault(name, set()).update(metric._labelnames)
    return found


# The SDK prefers dashboards that only Grafana 12 and later can import.
@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")
def test_the_dashboard_is_what_its_script_makes() -> None:
    assert (FOLDER / "wecom-broker.json").read_text(encoding="utf-8") == runpy.run_path(
        str(FOLDER / "dashboard.py")
    )["built"]()


def test_the_dashboard_has_rows_for_all_that_an_operator_looks_after() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]

    assert ["Replicas", "Apps", "Corps", "Callers", "Groups of subscribers"] == rows


async def test_the_dashboard_and_the_alerts_ask_for_what_a_broker_shows(tmp_path: Path) -> None:
    series = await shown(tmp_path)
    asked = [*expressions().values(), *rules()]
    names = {name for expression in asked for name in METRIC.findall(expression)}
    by_label = [
        (name, label)
        for expression in asked
        for name, selectors in SELECTED.findall(expression)
        for label in re.findall(r'(\w+)\s*[=!]~?"', selectors)
    ]

    assert 30 < len(names)
    assert set() == names - series.keys()
    assert [] == [(name, label) for name, label in by_label if label not in series[name] | PROMETHEUS_ADDS]


def test_prometheus_understands_what_the_dashboard_asks(tmp_path: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not here: no wheel has it, Debian's package prometheus does")
    filled = {
        title: asked.replace("$__rate_interval", "1m").replace("$", "")
        for title, asked in expressions().items()
    }
    file = tmp_path / "rules.json"
    records = [{"record": "panel", "labels": {"panel": each}, "expr": filled[each]} for each in filled]
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": records}]}))
    result = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)

    assert 0 == result.returncode, result.stdout + result.stderr
    assert f"{len(filled)} rules found" in result.stdout
