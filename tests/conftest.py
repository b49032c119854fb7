"""What holds for all tests."""

import gc
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Tests start processes while gRPC's threads run; the children replace themselves at once. gRPC reads this
# when it is imported, so it stands before every test's own imports.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Collecting tests makes thousands of objects that stay: the collector of garbage would visit them in vain,
# for a fifth of the time.
gc.disable()

# Started in the background, a run ignores SIGINT and SIGQUIT, and so would all that the tests interrupt.
if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's business; how many there are stays.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

# Tests write thousands of files, and stores wait until the disk has them: memory has them at once.
# It outlives the processes that tests kill.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 1 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    # Demos and playgrounds have their stores where temporary files are.
    os.environ.setdefault("TMPDIR", str(MEMORY))

pytest_plugins = ["tests.kit.time_bounds"]

LOGGERS = (None, "wecom_broker", "wecom_broker.audit", "aiohttp.server")
"""Those that a broker sets up: the root first; its own is the Python client's, too."""

ONE_FLEET = {
    "fleet/test_herd",
    "fleet/test_lost_holder",
    "fleet/test_reports",
    "fleet/test_watching",
    "lifecycle/test_ending",
}
"""These modules of tests/integration share a fleet: on one worker it is started once."""

ONE_GROUND = "attacks/"
"""The modules of this folder share what they attack."""


class ByModule(LoadFileScheduling):
    """Run a module's tests on one worker: they share what takes long to start."""

    def _split_scope(self, nodeid: str) -> str:
        module = str(super()._split_scope(nodeid))
        name = module.removeprefix("tests/integration/").removesuffix(".py")
        if name.startswith(ONE_GROUND):
            return ONE_GROUND
        return "one fleet" if name in ONE_FLEET else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByModule:
    """Distribute the tests so; `--dist loadgroup` of pytest-xdist 3.8 sees no groups with pytest 9.2."""
    return ByModule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: then all workers end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from visiting thousands of tests each time: they stay to the end.

    It comes less often than usual: a test leaves little behind.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """Undo what a broker in this process has done to the log: one may change its level while it runs."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels, handlers = [logger.level for logger in loggers], list(loggers[0].handlers)
    yield
    structlog.reset_defaults()
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests have measured."""
    lines = [
        str(value)
        for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
        for name, value in report.user_properties
        if name == "figures"
    ]
    if lines:
        terminalreporter.section("figures")
        for line in sorted(lines):
            terminalreporter.line(line)
