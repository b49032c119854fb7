"""The overlays of kustomize and the chart of helm, rendered by the real programs."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import broker
from tests.deploy.files import DEPLOY
from tests.deploy.rendered import CHART, HOST, WAYS, below, config, helm, manifests, refused, render


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_kubernetes_knows_all_that_they_say(tool: str, mode: str, tmp_path: Path) -> None:
    assert "" == refused(render(tool, mode), tmp_path / "rendered.yaml")


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_the_files_that_the_configuration_names_are_mounted(tool: str, mode: str) -> None:
    pod = manifests(render(tool, mode))["Deployment"]
    named = set(re.findall(r'"(?:unix://)?(/[\w./-]+)/[\w.-]+"', config(mode).read_text()))
    mounts = set(re.findall(r"mountPath: ([\w./-]+)", pod))

    assert {"/etc/wecom-broker/secrets"} < named <= mounts
    assert {"/etc/wecom-broker/config"} < mounts
    assert "subPath" not in re.sub("#.*", "", pod), "a file that is mounted so never changes"


@pytest.mark.parametrize("tool", ["kustomize", "helm"])
def test_a_fleet_has_all_around_it_and_lets_the_world_reach_callbacks_alone(tool: str) -> None:
    text = render(tool, "fleet")
    found = manifests(text)

    assert {"Deployment", "ConfigMap", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget"} <= {
        *found
    }
    assert ["/callback/"] == re.findall(r"path: (/callback\S*)", found["Ingress"])
    assert HOST in found["Ingress"]
    assert not re.findall(r"type: (NodePort|LoadBalancer)", text)
    assert 1 == text.count("clusterIP: None")
    assert 1 == text.count("publishNotReadyAddresses: true"), (
        "callbacks are taken while WeCom gives no tokens"
    )
    for port in ("53", "6379", "443"):
        assert re.search(rf"port: {port}\b", found["NetworkPolicy"])


@pytest.mark.parametrize("tool", ["kustomize", "helm"])
def test_a_sidecar_starts_before_the_service_and_ends_after_it(tool: str) -> None:
    pod = manifests(render(tool, "sidecar"))["Deployment"]
    before, service = below(pod, "initContainers"), below(pod, "containers")

    assert re.search("name: broker", before)
    assert re.search("restartPolicy: Always", before)
    assert re.search("startupProbe:", before)
    assert not re.search("readinessProbe:", before), "without WeCom the service is still ready"
    assert re.search("name: orders", service)
    assert not re.search("name: broker\n", service)
    assert "unix:///run/wecom-broker/broker.sock" in service


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_the_pod_may_do_no_more_than_it_must(tool: str, mode: str) -> None:
    pod = manifests(render(tool, mode))["Deployment"]

    for line in ("runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false"):
        assert line in pod
    assert re.search(r"drop:\s*(\[ALL\]|- ALL)", pod)
    assert "automountServiceAccountToken: false" in pod


@pytest.mark.parametrize(("tool", "mode"), WAYS)
def test_the_kubelet_waits_for_the_drain(tool: str, mode: str) -> None:
    pod = manifests(render(tool, mode))["Deployment"]
    grace = re.search(r"terminationGracePeriodSeconds: (\d+)", pod)
    pause = re.search(r"sleep:\s*{?\s*seconds: (\d+)", pod)
    drain = tomllib.loads(config(mode).read_text())["server"]["drain_seconds"]

    assert grace
    assert (mode == "fleet") == bool(pause), "a sidecar has no clients whose DNS must forget it"
    assert int(grace[1]) > (int(pause[1]) if pause else 0) + drain + 1


def test_the_files_of_the_fleet_say_the_same_where_no_program_renders_them() -> None:
    fleet = DEPLOY / "kubernetes" / "overlays" / "fleet"
    text = "".join(path.read_text() for path in sorted(fleet.glob("*.yaml")))
    base = (DEPLOY / "kubernetes" / "base" / "deployment.yaml").read_text()
    grace = re.search(r"terminationGracePeriodSeconds: (\d+)", base)
    pause = re.search(r"preStop: { sleep: { seconds: (\d+) } }", text)
    drain = tomllib.loads(config("fleet").read_text())["server"]["drain_seconds"]

    assert ["/callback/"] == re.findall(r"^ +- path: (/\S+)$", text, re.MULTILINE)
    assert text.count("kind: Ingress\n") == 1
    assert not re.findall(r"type: (NodePort|LoadBalancer)", text)
    assert grace
    assert pause
    assert int(grace[1]) > int(pause[1]) + drain + 1


@pytest.mark.parametrize("mode", ["fleet", "sidecar"])
def test_helm_lints_the_chart(mode: str) -> None:
    result = subprocess.run(helm("lint", mode), capture_output=True, text=True, check=False)

    assert 0 == result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set-file", "config=/dev/null"], "config: give the broker's configuration"),
        (["--set", "mode=both"], "must be one of 'fleet', 'sidecar'"),
        (["--set", "mode=sidecar"], "/sidecar/containers"),
        (["--set", "replica=3"], "additional properties 'replica' not allowed"),
        (["--set", "image.digest=latest"], "/image/digest"),
    ],
)
def test_the_chart_refuses_values_that_it_does_not_know(options: list[str], said: str) -> None:
    command = [*helm("template", "fleet"), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 != result.returncode
    assert said in result.stderr


def test_they_have_the_version_of_the_broker() -> None:
    base = (DEPLOY / "kubernetes" / "base" / "kustomization.yaml").read_text()
    chart = (CHART / "Chart.yaml").read_text()

    assert f"newTag: {broker.__version__}\n" in base
    assert f"appVersion: {broker.__version__}\n" in chart
    assert f"\nversion: {broker.__version__}\n" in chart
