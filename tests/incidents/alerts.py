"""Whether an alert fires on metrics that were scraped: promtool judges by the rules that are deployed."""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus-alerts.yaml"
STEP_SECONDS = 15
BEFORE, AFTER = 40, 160
"""For how many steps the broker is well, and then is not: ten minutes, and forty."""
LABELS = {"job": "wecom-broker", "instance": "broker"}
MOMENT = re.compile(r"_(timestamp_seconds|not_after_seconds)$")
"""Metrics whose value is a moment: in promtool's time the incident begins ten minutes after 1970."""

Series = Mapping[str, float]


def has_promtool() -> bool:
    """Return whether alerts can be judged here."""
    return shutil.which("promtool") is not None


def scraped(text: str, *, up: bool = True) -> Series:
    """Return the samples of `/metrics` by series, as a Prometheus labels them."""
    found = {f"up{_labels(LABELS)}": float(up)}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            value = sample.value
            if MOMENT.search(sample.name) and value:
                value = value - time.time() + BEFORE * STEP_SECONDS
            found[sample.name + _labels({**sample.labels, **LABELS})] = value
    return found


async def fires(alert: str, before: Series, after: Series, folder: Path) -> bool:
    """Return whether the alert fires where the first scrape's values became the second's."""
    names = before.keys() | after.keys()
    series = [
        {"series": name, "values": f"{_run(before.get(name), BEFORE)} {_run(after.get(name), AFTER)}"}
        for name in sorted(names)
    ]
    firing = f'count(max_over_time(ALERTS{{alertname="{alert}",alertstate="firing"}}[45m])) > bool 0'
    wanted = {"expr": firing, "eval_time": "45m", "exp_samples": [{"labels": "{}", "value": 1}]}
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{STEP_SECONDS}s",
        "tests": [
            {"interval": f"{STEP_SECONDS}s", "input_series": series, "promql_expr_test": [wanted]},
        ],
    }
    file = folder / f"{alert}.test.json"
    file.write_text(json.dumps(test))  # JSON is YAML
    judging = await asyncio.create_subprocess_exec(
        *("promtool", "test", "rules", str(file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await judging.wait() == 0


def _run(value: float | None, steps: int) -> str:
    return f"_x{steps}" if value is None else f"{value:g}x{steps}"


def _labels(labels: Mapping[str, str]) -> str:
    shown = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()))
    return "{" + ",".join(shown) + "}"
