"""What a broker that serves spares the collector of garbage."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.kit.processes.broker_process import BrokerProcess

PROGRAM = """
import atexit, gc
from broker.cli import main

atexit.register(lambda: print("frozen", gc.get_freeze_count(), flush=True))
main()
"""


WITHIN_SECONDS = 60.0


@pytest.mark.slow
def test_a_broker_that_serves_has_no_full_collection_of_what_it_was_built_of(tmp_path: Path) -> None:
    app = {"name": "crm", "corp_id": "ww1", "agent_id": 1, "secret": "of-the-app"}
    config = {"store": {"url": f"sqlite:///{tmp_path}/broker.db"}, "apps": [app]}
    file = BrokerProcess(tmp_path, config).config_file

    command = [sys.executable, "-c", PROGRAM, "serve", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as broker:
        assert broker.stdout
        too_late = threading.Timer(WITHIN_SECONDS, broker.kill)
        too_late.start()
        said = next((line for line in broker.stdout if '"serving"' in line), "")
        broker.terminate()
        *_, last = broker.stdout
        too_late.cancel()

    assert said
    assert 0 == broker.returncode
    assert int(last.removeprefix("frozen ")) > 100_000
