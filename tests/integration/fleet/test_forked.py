"""What fleets are started with: a forked process is as one that was started afresh."""

import os
import signal
from pathlib import Path

import pytest

from tests.kit.processes.fleet import until
from tests.kit.processes.forked import SUPPORTED, template

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="only Linux can")

SCRIPT = """
import os, signal, sys
print(os.getppid(), sys.argv[1:], dict(os.environ), sys.stdin.read(), file=sys.stderr, flush=True)
if sys.argv[1] == "wait":
    signal.pause()
sys.exit(7)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


async def test_it_is_a_child_with_its_own_arguments_environment_output_and_exit_code(
    tmp_path: Path, script: Path
) -> None:
    process = template().fork(["end"], tmp_path / "log", {"A": "b"}, script)
    await until(lambda: process.poll() is not None)
    assert 7 == process.poll() == process.returncode == process.wait()
    assert f"{os.getpid()} ['end'] {{'A': 'b'}} \n" == (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_a_signal_ends_it(tmp_path: Path, script: Path, number: signal.Signals) -> None:
    process = template().fork(["wait"], tmp_path / "log", {}, script)
    log = tmp_path / "log"
    await until(lambda: log.exists() and log.read_text().endswith("\n"))
    assert process.poll() is None
    process.send_signal(number)
    await until(lambda: process.poll() is not None)
    assert -number == process.returncode
