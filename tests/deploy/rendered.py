"""What kustomize and helm make of the files for Kubernetes, as text, in the form of the real program."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY

OVERLAYS = DEPLOY / "kubernetes" / "overlays"
CHART = DEPLOY / "helm" / "wecom-broker"
HOST = "wecom.example.org"
WAYS = [(tool, mode) for tool in ("kustomize", "helm") for mode in ("fleet", "sidecar")]


def config(mode: str) -> Path:
    """Return the broker's configuration that belongs to a mode."""
    return OVERLAYS / mode / "broker.toml"


def render(tool: str, mode: str, *options: str, overlays: Path = OVERLAYS) -> str:
    """Return all manifests of a mode. Skips the test where the tool is missing."""
    command = kustomize(overlays / mode) if tool == "kustomize" else [*helm("template", mode), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def kustomize(overlay: Path) -> list[str]:
    """Return the command that renders an overlay."""
    if shutil.which("kustomize"):
        return ["kustomize", "build", str(overlay)]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize", str(overlay)]
    pytest.skip("neither kustomize nor kubectl is here: make check-deploy")


def helm(command: str, mode: str) -> list[str]:
    """Return a command of helm for the chart in a mode."""
    if not shutil.which("helm"):
        pytest.skip("helm is not here: make check-deploy")
    name = {"template": ["wecom-broker"], "lint": ["--strict"]}[command]
    values = {
        "fleet": ["--set", f"fleet.ingress.host={HOST}"],
        "sidecar": ["--values", str(CHART / "sidecar.example.yaml")],
    }[mode]
    return ["helm", command, *name, str(CHART), *values, "--set-file", f"config={config(mode)}"]


def refused(text: str, file: Path) -> str:
    """Return what kubernetes-validate refuses of manifests. Skips the test where it is missing."""
    if not (validate := shutil.which("kubernetes-validate")):
        pytest.skip("kubernetes-validate is not here: make check-deploy")
    file.write_text(text)
    result = subprocess.run([validate, "--strict", file], capture_output=True, text=True, check=False)
    return result.stdout + result.stderr if result.returncode else ""


def manifests(text: str) -> dict[str, str]:
    """Return the manifests by kind; of several of a kind the last."""
    parts = re.split(r"^---$", text, flags=re.MULTILINE)
    return {found[1]: part for part in parts if (found := re.search(r"^kind: (\w+)$", part, re.MULTILINE))}


def below(text: str, key: str) -> str:
    """Return the lines of a YAML list or mapping under a key, in the pod's own depth."""
    found = re.search(rf"^( +){key}:\n((?:\1[ -].*\n|\n)+)", text, re.MULTILINE)
    return found[2] if found else ""
