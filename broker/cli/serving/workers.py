"""Several processes on one port: each a broker of its own, sharing the store."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client import multiprocess

from broker.cli.serving.hangup import Hangups
from broker.cli.serving.service_manager import ServiceManager
from broker.cli.serving.worker import Worker
from broker.config.schema import Config
from broker.telemetry.logging import LOGGER

CANNOT_START = 3
"""The exit code of `serve` when it cannot start as configured: a restart would not help."""
CONFIG_UNUSABLE = 2
"""The exit code of every command whose configuration cannot be used."""
AGAIN_SECONDS = 1.0
"""The pause before a crashed worker is replaced."""


def supervise(
    path: Path, config: Config, hangups: Hangups, manager: ServiceManager, *, insecure: bool
) -> None:
    """Run the workers until a signal; a second one ends them immediately. Exits if a worker cannot start.

    The manager is told that all is ready once all workers are.
    """
    log = structlog.get_logger(LOGGER)
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    command = [sys.executable, "-m", "broker", "serve", "--config", str(path)]
    command += ["--insecure", "--worker"] if insecure else ["--worker"]
    with tempfile.TemporaryDirectory(prefix="wecom-broker-metrics-") as metrics:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": metrics}
        workers = [Worker.start(command, environment, hangups) for _ in range(config.server.workers)]
        code = 0
        forwarded = 0
        # Since when workers must have their configuration before the manager is told; None once it was.
        awaited: int | None = 0
        while any(worker.exit_code is None for worker in workers) or not (signals or code):
            while forwarded < len(signals):
                if not forwarded:
                    manager.stopping()
                _send_on(signals[forwarded], workers)
                forwarded += 1
            if hangups.take():
                awaited = manager.reload_begins()
                _send_on(signal.SIGHUP, workers)
            if awaited is not None and not signals and all(w.has_read_since(awaited) for w in workers):
                manager.ready()
                awaited = None
            for position, worker in enumerate(workers):
                if signals or code or worker.exit_code is None:
                    continue
                multiprocess.mark_process_dead(worker.pid, metrics)  # type: ignore[no-untyped-call]
                if worker.exit_code in (CONFIG_UNUSABLE, CANNOT_START):
                    code = worker.exit_code
                    signals.append(signal.SIGTERM)
                    break
                log.error("a worker ended; starting another", exit_code=worker.exit_code)
                time.sleep(AGAIN_SECONDS)
                workers[position] = Worker.start(command, environment, hangups)
            time.sleep(0.1)
    # A second signal ended them at once, as it ends a single process.
    sys.exit(128 + signals[-1] if len(signals) > 1 and not code else code)


def _send_on(number: int, workers: Iterable[Worker]) -> None:
    for worker in workers:
        worker.send(number)
