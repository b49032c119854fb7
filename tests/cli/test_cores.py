"""Whatever command reads the configuration's secrets allows no core first, and is no debugger's."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.processes.broker_process import to_toml
from tests.kit.processes.environment import environment

NOTE = 'ulimit -c > "$0"; stat -c %u "/proc/$PPID/environ" >> "$0"; printf a-secret-of-crm'
"""What prints the secret notes what the command that asked for it may leave behind."""
COMMANDS = {
    "serve": ["serve"],
    "check-config": ["check-config"],
    "check-config --json": ["check-config", "--json"],
    "keys reseal": ["keys", "reseal"],
    "suites export": ["suites", "export", "backup"],
}
HIDDEN = """
import ctypes
from broker.cli.memory import hide_memory
hide_memory()
print(ctypes.CDLL(None).prctl(3))  # PR_GET_DUMPABLE
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is asked is in /proc")


@pytest.fixture
def cores() -> Iterator[None]:
    """Allow this process's children cores, as a careless host does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_that_reads_secrets_may_leave_a_core(tmp_path: Path, cores: None, name: str) -> None:
    noted, config = tmp_path / "noted", tmp_path / "broker.toml"
    app = {
        "name": "crm",
        "corp_id": "ww0parent000000001",
        "agent_id": 1000002,
        "secret": {"command": ["/bin/sh", "-c", NOTE, str(noted)]},
    }
    # The port is nobody's: what reads the configuration and goes on ends there.
    store = {"url": "redis://127.0.0.1:1/0", "seal_keys": [{"id": "k1", "key": "A" * 43 + "="}]}
    config.write_text(to_toml({"store": store, "apps": [app]}))
    subprocess.run(
        [sys.executable, "-m", "broker", *COMMANDS[name], "--config", str(config)],
        env={**environment(), "WECOM_BROKER_BACKUP_KEY": "A" * 43 + "="},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert ["0", "0"] == noted.read_text().split()


def test_no_core_is_piped_to_a_collector_either(cores: None) -> None:
    # A limit of 0 does not keep the kernel from piping one: that needs PR_GET_DUMPABLE to be 0.
    answer = subprocess.run(
        [sys.executable, "-c", HIDDEN], env=environment(), capture_output=True, check=True, timeout=60
    )

    assert b"0\n" == answer.stdout
