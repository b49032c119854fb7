"""The limit of open files of a broker that is started with a low one."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from broker.cli.serving.open_files import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))
allow_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "then"), [(256, 900, 900), (700, 700, 700), (100, 1500, 1500)])
def test_it_is_raised_as_far_as_the_system_allows(soft: int, hard: int, then: int) -> None:
    command = [sys.executable, "-c", PROGRAM % (soft, hard)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert [then, hard] == [int(word) for word in printed.split()]
