"""What holds for all tests."""

import os
import shutil
import signal
from pathlib import Path

import pytest

# Tests start processes while gRPC's threads run; the children replace themselves at once. gRPC reads this
# when it is imported, so it stands before every test's own imports.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Started in the background, a run ignores SIGINT, and so would all that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests write thousands of files, and stores wait until the disk has them: memory has them at once.
# It outlives the processes that tests kill.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 1 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

SHARED = {"_shared_fleet": "fleet", "playground": "playground"}
"""What takes seconds to start: the tests that use it go to one worker, which starts it once."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares something, and begin with what takes long: workers end together."""
    for item in items:
        for fixture in SHARED.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(SHARED[fixture]))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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
