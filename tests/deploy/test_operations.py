"""What the image, Kubernetes, systemd and Prometheus are told agrees with the broker."""

import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

import broker
from broker.domain.errors import StoreUnavailable
from broker.domain.events.event import EnvelopeProblem
from broker.domain.replica.health import ReplicaHealth
from broker.protocol.error_codes import BY_CODE
from broker.telemetry.metrics import Metrics
from tests.architecture.pages.documents import anchors
from tests.deploy.files import DEPLOY, ROOT

PACKAGES = {"promtool": "prometheus", "haproxy": "haproxy", "hadolint": "(none: make check-deploy)"}
TESTS = "".join(path.read_text() for path in sorted((ROOT / "tests" / "deploy" / "alerts").glob("*.yaml")))
ALERTS = (DEPLOY / "prometheus-alerts.yaml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_needs_no_foreign_frontend_and_is_not_root():
    assert "syntax" not in DOCKERFILE.splitlines()[0]
    assert "ARG BASE_IMAGE=python:3.12-slim" in DOCKERFILE
    assert re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1] == ("10001", "10001")


def test_the_image_has_the_version_of_the_broker():
    assert f"ARG VERSION={broker.__version__}\n" in DOCKERFILE


def test_what_the_dockerfile_copies_is_let_through_and_exists():
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    }

    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)


def test_alerts_name_metrics_that_exist():
    suffixes = {"counter": "_total", "histogram": "_bucket", "gauge": ""}
    known = {family.name + suffixes[family.type] for family in Metrics().registry.collect()}
    used = set(re.findall(r"\bwecom_broker_\w+", ALERTS))

    assert used
    assert used <= known


def test_alerts_name_errcodes_and_dependencies_that_the_broker_knows():
    lists = re.findall(r'errcode=~"([^"]+)"', ALERTS)
    codes = {int(code) for codes in lists for code in codes.split("|") if code.isdigit()}
    replica_health = ReplicaHealth(datetime.now(UTC))

    assert codes <= set(BY_CODE)
    assert {replica_health.store.name, replica_health.wecom.name} == set(
        re.findall(r'dependency="(\w+)"', ALERTS)
    )


def test_alerts_name_outcomes_of_callbacks_that_the_broker_counts():
    outcomes = {
        outcome for listed in re.findall(r'outcome=~"([^"]+)"', ALERTS) for outcome in listed.split("|")
    }

    assert outcomes <= {*EnvelopeProblem, StoreUnavailable.reason.lower(), "failed"}
    assert {EnvelopeProblem.SIGNATURE, EnvelopeProblem.PADDING, EnvelopeProblem.RECEIVE_ID} <= outcomes


def alerts() -> dict[str, str]:
    """Return the text of each rule, by the name of its alert."""
    rules = re.split(r"^ +- alert: ", ALERTS, flags=re.MULTILINE)[1:]
    return {rule.split("\n", 1)[0]: rule for rule in rules}


def test_each_alert_says_what_to_do():
    silent = [
        name for name, rule in alerts().items() if not re.search(r"^ +remedy: .{20}", rule, re.MULTILINE)
    ]

    assert [] == silent


def test_each_alert_is_tested_to_fire_and_to_be_silent():
    checks = re.split(r"eval_time: ", TESTS)[1:]
    named = [(re.search(r"alertname: (\w+)", check), "exp_labels" in check) for check in checks]
    fires = {found[1] for found, is_fired in named if found and is_fired}
    is_silent = {found[1] for found, is_fired in named if found and not is_fired}

    assert set(alerts()) == fires
    assert set(alerts()) == is_silent


def test_what_an_alert_leaves_out_is_told_by_another_one():
    left_out = {name for names in re.findall(r'alertname=~"([^"]+)"', ALERTS) for name in names.split("|")}

    assert left_out
    assert left_out <= set(alerts())


def test_each_alert_names_its_section_of_the_operations():
    rules = re.split(r"^ +- alert: ", ALERTS, flags=re.MULTILINE)[1:]
    named = {
        rule.split("\n", 1)[0]: re.findall(r"^ +runbook_url: (.+)$", rule, re.MULTILINE) for rule in rules
    }

    assert named == {name: [f"docs/operations.md#{name.lower()}"] for name in named}
    assert {name.lower() for name in named} <= anchors(ROOT / "docs" / "operations.md")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["promtool", "check", "rules"], "prometheus-alerts.yaml"),
        (["promtool", "test", "rules"], "../tests/deploy/alerts/minutes.test.yaml"),
        (["promtool", "test", "rules"], "../tests/deploy/alerts/days.test.yaml"),
        (["hadolint"], "../Dockerfile"),
        (["haproxy", "-c", "-f"], "haproxy.cfg"),
    ],
)
def test_their_own_programs_accept_the_files(command: list[str], file: str):
    if not shutil.which(command[0]):
        pytest.skip(
            f"{command[0]} is not here: no wheel has it, Debian's package {PACKAGES[command[0]]} does"
        )
    result = subprocess.run([*command, str(DEPLOY / file)], capture_output=True, text=True, check=False)

    assert 0 == result.returncode, result.stdout + result.stderr
