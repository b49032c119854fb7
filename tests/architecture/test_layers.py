"""Imports point inwards: the contracts of pyproject.toml hold."""

import subprocess
import sysconfig
from pathlib import Path

from tests.architecture.sources import ROOT

LINT_IMPORTS = Path(sysconfig.get_path("scripts")) / "lint-imports"


def test_every_contract_of_import_linter_holds() -> None:
    check = subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert 0 == check.returncode, check.stdout + check.stderr
    assert "0 broken" in check.stdout
