"""A broker that dies leaves no core, and its memory is for nobody else: it holds every secret."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import PATIENCE, configuration

NOBODY = 65534
NOWHERE = "http://127.0.0.1:9"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is asked is in /proc"),
]


@pytest.fixture
def cores() -> Iterator[None]:
    """Allow this process's children cores, as a careless host does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.fixture
def broker(tmp_path: Path, cores: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokerProcess]:
    config = configuration(NOWHERE, f"sqlite:///{tmp_path}/broker.db")
    # A core is written where the process works.
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(work)
    broker = BrokerProcess(tmp_path / "b", config)
    broker.launch()
    assert broker.process
    yield broker
    broker.process.kill()
    broker.process.wait()


def await_start(broker: BrokerProcess) -> int:
    """Return the process's id once it listens, whether or not it is ready."""
    assert broker.process
    while b'"serving"' not in broker.log.read_bytes():
        assert broker.process.poll() is None
    return broker.process.pid


def test_no_core_may_be_written(broker: BrokerProcess) -> None:
    pid = await_start(broker)
    [limit] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core" in line]

    assert "0" == limit.split()[4]


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT])
def test_a_broker_that_crashes_leaves_none(broker: BrokerProcess, number: signal.Signals) -> None:
    pid = await_start(broker)
    os.kill(pid, number)
    deadline = time.monotonic() + PATIENCE
    while not (status := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert broker.process
    code = broker.process.wait(PATIENCE)

    assert -number == code
    # CLD_DUMPED would say that one was written or piped.
    assert os.CLD_KILLED == status.si_code
    assert [] == list(Path.cwd().iterdir())


def test_proc_is_root_s_and_closed_to_the_same_user(broker: BrokerProcess) -> None:
    pid = await_start(broker)

    assert 0 == Path(f"/proc/{pid}/environ").stat().st_uid


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run something as another user")
@pytest.mark.parametrize("name", ["environ", "mem", "maps", "fd/0"])
def test_another_user_reads_nothing(broker: BrokerProcess, name: str) -> None:
    pid = await_start(broker)
    read = subprocess.run(
        ["cat", f"/proc/{pid}/{name}"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        check=False,
    )

    assert b"" == read.stdout
    assert b"Permission denied" in read.stderr
