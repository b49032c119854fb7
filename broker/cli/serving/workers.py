"""Several processes on one port: each a broker of its own, sharing the store."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client import multiprocess

from broker.cli.serving.hangup import Hangups
from broker.config.schema import Config
from broker.telemetry.logging import LOGGER

CANNOT_START = 3
"""The exit code of `serve` when it cannot start as configured: a restart would not help."""
CONFIG_UNUSABLE = 2
"""The exit code of every command whose configuration cannot be used."""
AGAIN_SECONDS = 1.0
"""The pause before a crashed worker is replaced."""


def supervise(path: Path, config: Config, hangups: Hangups, *, insecure: bool) -> None:
    """Run the workers until a signal; a second one ends them immediately. Exits if a worker cannot start."""
    log = structlog.get_logger(LOGGER)
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    command = [sys.executable, "-m", "broker", "serve", "--worker", "--config", str(path)]
    command += ["--insecure"] if insecure else []
    with tempfile.TemporaryDirectory(prefix="wecom-broker-metrics-") as metrics:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": metrics}

        def start() -> subprocess.Popen[bytes]:
            # A separate session: a Ctrl-C at the terminal reaches the workers only once, through us.
            # SIGHUP is blocked until it catches it: it would end a worker that is starting.
            with hangups.blocked():
                return subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - ourselves

        workers = [start() for _ in range(config.server.workers)]
        code = 0
        forwarded = 0
        while any(worker.poll() is None for worker in workers) or not (signals or code):
            while forwarded < len(signals):
                _send_on(signals[forwarded], workers)
                forwarded += 1
            if hangups.take():
                _send_on(signal.SIGHUP, workers)
            for position, worker in enumerate(workers):
                if signals or code or worker.poll() is None:
                    continue
                multiprocess.mark_process_dead(worker.pid, metrics)  # type: ignore[no-untyped-call]
                if worker.returncode in (CONFIG_UNUSABLE, CANNOT_START):
                    code = worker.returncode
                    signals.append(signal.SIGTERM)
                    break
                log.error("a worker ended; starting another", exit_code=worker.returncode)
                time.sleep(AGAIN_SECONDS)
                workers[position] = start()
            time.sleep(0.1)
    # A second signal ended them at once, as it ends a single process.
    sys.exit(128 + signals[-1] if len(signals) > 1 and not code else code)


def _send_on(number: int, workers: Iterable[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(number)
