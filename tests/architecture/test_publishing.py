"""A workflow runs `.ci/run` with no more rights than it needs, and both packages carry the licence."""

import re
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
