"""The lock files pin what pyproject.toml asks for, by hash, and name no place to get it from."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import PYTHON_CLIENT, ROOT

FULL = ROOT / "requirements.lock"
RUNTIME = ROOT / "requirements-runtime.lock"
TRACING = ROOT / "requirements-otel.lock"
OWN = "wecom-broker-client"
PEERS = "peers"
"""The group of what a benchmark compares with: it is skipped where that is not there."""
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)[^\n]*((?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+)$", re.MULTILINE)


def pins(lock: Path) -> dict[str, str]:
    """Return the version that a lock file pins of each package."""
    return {found[1]: found[2] for found in PIN.finditer(lock.read_text(encoding="utf-8"))}


def project(folder: Path) -> Any:
    """Return a folder's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def runtime_requirements() -> Iterator[str]:
    """Yield what the broker, its client and an install without isolation need."""
    for folder in (ROOT, PYTHON_CLIENT):
        yield from project(folder)["project"]["dependencies"]
        yield from project(folder)["build-system"]["requires"]


def tracing_requirements() -> Iterator[str]:
    """Yield what the extras add to that."""
    for folder in (ROOT, PYTHON_CLIENT):
        yield from project(folder)["project"]["optional-dependencies"]["otel"]


def development_requirements() -> Iterator[str]:
    """Yield what the groups add to that."""
    for name, group in project(ROOT)["dependency-groups"].items():
        if name != PEERS:
            yield from (entry for entry in group if isinstance(entry, str))


def unmet(requirements: Iterator[str], lock: Path) -> list[str]:
    """Return the requirements that a lock file does not meet."""
    pinned = pins(lock)
    return [
        text
        for text in requirements
        if (needed := Requirement(text)).name != OWN
        and not needed.specifier.contains(pinned.get(canonicalize_name(needed.name), "0"))
    ]


@pytest.mark.parametrize("lock", [FULL, RUNTIME, TRACING], ids=lambda lock: lock.name)
def test_every_line_is_a_pin_with_hashes_and_nothing_names_a_place(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    rest = [line for line in PIN.sub("", text).splitlines() if line and not line.startswith("#")]

    assert pins(lock)
    assert [] == rest
    assert "://" not in text


def test_the_runtime_lock_is_a_part_of_that_with_tracing_and_that_of_the_full_one() -> None:
    assert pins(RUNTIME).items() < pins(TRACING).items() < pins(FULL).items()


def test_the_locks_meet_what_the_projects_ask_for() -> None:
    assert [] == unmet(runtime_requirements(), RUNTIME), "make lock"
    assert [] == unmet(development_requirements(), FULL), "make lock"
    assert [] == unmet(tracing_requirements(), TRACING), "make lock"


def test_the_stubs_are_generated_by_the_tools_of_the_grpc_that_runs_them() -> None:
    assert pins(FULL)["grpcio"] == pins(FULL)["grpcio-tools"]
