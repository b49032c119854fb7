"""A workflow runs `.ci/run` with no more rights than it needs, and both packages carry the licence."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import PYTHON_CLIENT, ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
PINNED = re.compile(r"\S+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    assert re.findall(r"^ +- run: (.+)$", WORKFLOW, re.MULTILINE) == [".ci/run"]


def test_continuous_integration_may_only_read_and_its_actions_are_pinned() -> None:
    actions = re.findall(r"uses: (.+)$", WORKFLOW, re.MULTILINE)

    assert actions
    assert [] == [action for action in actions if not PINNED.fullmatch(action)]
    assert re.findall(r"^permissions:\n((?:  .+\n)+)", WORKFLOW, re.MULTILINE) == ["  contents: read\n"]
    assert WORKFLOW.count("permissions:") == 1


@pytest.mark.parametrize("package", [ROOT, PYTHON_CLIENT], ids=["broker", "client"])
def test_each_package_carries_the_licence(package: Path) -> None:
    assert 'license-files = ["LICENSE"]' in (package / "pyproject.toml").read_text(encoding="utf-8")
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize(("package", "folder"), [(ROOT, "broker"), (PYTHON_CLIENT, "wecom_broker")])
def test_its_wheel_has_what_is_no_python_too(package: Path, folder: str) -> None:
    """`make wheels` installs it into an empty environment."""
    data = tomllib.loads((package / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for name, patterns in data.items()
        for pattern in patterns
        for path in package.joinpath(*name.split(".")).glob(pattern)
    }
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=package, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert packed
    assert [] == [name for name in listed if not name.endswith(".py") and package / name not in packed]
