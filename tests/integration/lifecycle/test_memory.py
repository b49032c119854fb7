"""A broker that dies leaves no core, and its memory is for nobody else: it holds every secret."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def cores_allowed() -> Iterator[None]:
    """Allow this process's children cores, as a careless host does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@contextmanager
def started(folder: Path) -> Iterator[BrokerProcess]:
    """Start a broker that works in a folder of its own, where a core would be written."""
    work = folder / "work"
    work.mkdir()
    broker = BrokerProcess(folder / "b", configuration(NOWHERE, f"sqlite:///{folder}/broker.db"))
    with cores_allowed(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path.cwd()))
        patch.chdir(work)
        broker.launch()
    assert broker.process
    yield broker
    broker.process.kill()
    broker.process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker that the test may kill."""
    with started(tmp_path) as broker:
        yield broker


@pytest.fixture(scope="module")
def pid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A broker that tests only look at."""
    with started(tmp_path_factory.mktemp("looked at")) as broker:
        yield await_start(broker)


def await_start(broker: BrokerProcess) -> int:
    """Return the process's id once it listens, whether or not it is ready."""
    assert broker.process
    while b'"serving"' not in broker.log.read_bytes():
        assert broker.process.poll() is None
    return broker.process.pid


def test_no_core_may_be_written(pid: int) -> None:
    [limit] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core" in line]

    assert "0" == limit.split()[4]


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT])
def test_a_broker_that_crashes_leaves_none(
    broker: BrokerProcess, tmp_path: Path, number: signal.Signals
) -> None:
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
    assert [] == list((tmp_path / "work").iterdir())


def test_proc_is_root_s_and_closed_to_the_same_user(pid: int) -> None:
    assert 0 == Path(f"/proc/{pid}/environ").stat().st_uid


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run something as another user")
@pytest.mark.parametrize("name", ["environ", "mem", "maps", "fd/0"])
def test_another_user_reads_nothing(pid: int, name: str) -> None:
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
