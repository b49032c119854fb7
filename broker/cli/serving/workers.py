"""Several processes on one port: each a broker of its own, sharing the store."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client import multiprocess

from broker.cli.serving.hangup import Hangups
from broker.cli.serving.place import Place, are_ready
from broker.cli.serving.service_manager import ServiceManager
from broker.cli.serving.worker import Worker
from broker.config.schema import Config
from broker.telemetry.logging import LOGGER

CANNOT_START = 3
"""The exit code of `serve` when it cannot start as configured: a restart would not help."""
CONFIG_UNUSABLE = 2
"""The exit code of every command whose configuration cannot be used."""
LOOK_SECONDS = 0.1


def supervise(
    path: Path, config: Config, hangups: Hangups, manager: ServiceManager, *, insecure: bool
) -> None:
    """Run the workers until a signal; a second one ends them immediately.

    Exits if a worker cannot start before all have served. Later the others go on, and its place is tried
    again. The manager is told that all is ready once all workers are.
    """
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    command = [sys.executable, "-m", "broker", "serve", "--config", str(path)]
    command += ["--insecure", "--worker"] if insecure else ["--worker"]
    with tempfile.TemporaryDirectory(prefix="wecom-broker-metrics-") as metrics:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": metrics}
        places = [
            Place(lambda: Worker.start(command, environment, hangups)) for _ in range(config.server.workers)
        ]
        code = 0
        forwarded = 0
        # Since when workers must have their configuration before the manager is told; None once it was.
        awaited: int | None = 0
        while any(place.worker.exit_code is None for place in places) or not (signals or code):
            while forwarded < len(signals):
                if not forwarded:
                    manager.stopping()
                _send_on(signals[forwarded], places)
                forwarded += 1
            if hangups.take():
                awaited = manager.reload_begins()
                _send_on(signal.SIGHUP, places)
                for place in places:
                    place.hurry()
            if not signals and (code := _keep_filled(places, metrics)):
                signals.append(signal.SIGTERM)
            if awaited is not None and not signals and are_ready(places, awaited):
                manager.ready()
                awaited = None
            time.sleep(LOOK_SECONDS)
    # A second signal ended them at once, as it ends a single process.
    sys.exit(128 + signals[-1] if len(signals) > 1 and not code else code)


def _keep_filled(places: Sequence[Place], metrics: str) -> int:
    """Replace workers that have ended, each after its pause; return the exit code that ends all, or 0."""
    log = structlog.get_logger(LOGGER)
    for place in places:
        if (code := place.ended()) is not None:
            multiprocess.mark_process_dead(place.worker.pid, metrics)  # type: ignore[no-untyped-call]
            if code in (CONFIG_UNUSABLE, CANNOT_START) and not all(each.has_served for each in places):
                return code
            log.error("a worker ended; another one follows", exit_code=code, seconds=place.pause_seconds)
        try:
            place.take()
        except OSError as problem:
            log.warning("no worker can be started", problem=str(problem), seconds=place.pause_seconds)
    return 0


def _send_on(number: int, places: Iterable[Place]) -> None:
    for place in places:
        place.worker.send(number)
