"""What a broker that serves spares the collector of garbage."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.processes.broker_process import BrokerProcess

PROGRAM = """
import gc, os, signal, threading, time
from broker.cli import main

def end_when_frozen():
    while gc.get_freeze_count() < 100_000:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_when_frozen, daemon=True).start()
main()
"""


@pytest.mark.slow
def test_a_broker_that_serves_has_no_full_collection_of_what_it_was_built_of(tmp_path: Path) -> None:
    app = {"name": "crm", "corp_id": "ww1", "agent_id": 1, "secret": "of-the-app"}
    config = {"store": {"url": f"sqlite:///{tmp_path}/broker.db"}, "apps": [app]}
    file = BrokerProcess(tmp_path, config).config_file

    # Without the broker's own freeze it would serve on, and the time would end the test.
    command = [sys.executable, "-c", PROGRAM, "serve", "--config", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert 0 == done.returncode, done.stderr
    assert '"serving"' in done.stdout + done.stderr
