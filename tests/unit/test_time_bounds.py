"""A test that exceeded a bound on seconds is run once more, and no other is."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
from collections import Counter

import pytest

from tests.kit.time_bounds import check_took

runs = Counter()

@pytest.fixture
def number():
    runs["set up"] += 1
    return runs["set up"]

def test_slow_once(number):
    check_took(2 - number, 1)

def test_slow_always():
    check_took(2, 1)

def test_wrong_once():
    runs["wrong"] += 1
    assert runs["wrong"] == 2

def test_right():
    pass
"""


@pytest.mark.slow
def test_only_what_was_too_slow_is_run_again_and_that_is_counted(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    options = ("-q", "-p", "tests.kit.time_bounds", "-p", "no:cacheprovider", "-c", "/dev/null")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", tmp_path, tmp_path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "2 failed, 2 passed, 2 rerun" in done.stdout
    assert "/test_some.py::test_slow_always" in done.stdout
    assert "/test_some.py::test_wrong_once" in done.stdout
