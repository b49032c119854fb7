"""Tracing, switched on in the overlays of kustomize and in the chart of helm."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.deploy.files import DEPLOY, switched_on
from tests.deploy.rendered import WAYS, below, helm, manifests, refused, render

COLLECTOR = "http://otel-collector.monitoring.svc:4317"
RATIO = ["--set", "tracing.env[0].name=OTEL_TRACES_SAMPLER_ARG", "--set-string", "tracing.env[0].value=0.01"]
ON = ["--set", "tracing.enabled=true", "--set", f"tracing.endpoint={COLLECTOR}", *RATIO]
Rendered = Callable[[str, str], str]


@pytest.fixture
def traced(tmp_path: Path) -> Rendered:
    """Render a mode with tracing: the lines that an overlay comments out, or the chart's values."""

    def rendered(tool: str, mode: str) -> str:
        if tool == "helm":
            return render("helm", mode, *ON)
        copied = shutil.copytree(DEPLOY / "kubernetes", tmp_path / "kubernetes")
        for name in ("kustomization.yaml", "broker.toml"):
            file = copied / "overlays" / mode / name
            file.write_text(switched_on(file.read_text()))
        return render("kustomize", mode, overlays=copied / "overlays")

    return rendered


def configured(manifest: str) -> dict[str, object]:
    """Return the broker's configuration in a ConfigMap."""
    text = re.split(r"^  broker.toml: \|-?\n", manifest, flags=re.MULTILINE)[1]
    return tomllib.loads(dedent(re.split(r"^\S|^  \w", text, maxsplit=1, flags=re.MULTILINE)[0]))


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_the_broker_traces_and_knows_the_collector(traced: Rendered, tool: str, mode: str) -> None:
    found = manifests(traced(tool, mode))
    broker = below(found["Deployment"], "initContainers" if mode == "sidecar" else "containers")

    assert {"enabled": True} == configured(found["ConfigMap"])["tracing"]
    assert re.search(rf'name: OTEL_EXPORTER_OTLP_ENDPOINT\n +value: "?{COLLECTOR}"?\n', broker)
    assert re.search(r'name: OTEL_TRACES_SAMPLER_ARG\n +value: "0.01"\n', broker)
    assert "name: WECOM_BROKER_CONFIG" in broker


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_kubernetes_knows_what_tracing_adds(traced: Rendered, tool: str, mode: str, tmp_path: Path) -> None:
    assert "" == refused(traced(tool, mode), tmp_path / "rendered.yaml")


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_the_broker_does_not_trace_by_itself(tool: str, mode: str) -> None:
    text = render(tool, mode)

    assert "tracing" not in configured(manifests(text)["ConfigMap"])
    assert "OTEL_" not in text
    assert "4317" not in text


@pytest.mark.parametrize("tool", ["kustomize", "helm"])
def test_a_fleet_may_reach_the_collector(traced: Rendered, tool: str) -> None:
    egress = manifests(traced(tool, "fleet"))["NetworkPolicy"].partition("egress:")[2]

    assert {"53", "6379", "443", "4317"} == set(re.findall(r"port: (\d+)", egress))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "tracing.enabled=true"], "/tracing/endpoint"),
        ([*ON, "--set", "tracing.endpoint=collector:4317"], "/tracing/endpoint"),
        ([*ON, "--set", "tracing.env[0].name=PYTHONPATH"], "/tracing/env/0/name"),
    ],
)
def test_the_chart_refuses_what_is_no_setting_of_tracing(options: list[str], said: str) -> None:
    result = subprocess.run(
        [*helm("template", "fleet"), *options], capture_output=True, text=True, check=False
    )

    assert 0 != result.returncode
    assert said in result.stderr


def test_the_chart_refuses_a_configuration_that_speaks_of_tracing_too(tmp_path: Path) -> None:
    config = tmp_path / "broker.toml"
    config.write_text("[tracing]\nenabled = false\n")
    command = [*helm("template", "fleet"), *ON, "--set-file", f"config={config}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 != result.returncode
    assert "config: leave [tracing] out, or tracing.enabled" in result.stderr
