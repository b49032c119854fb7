"""Processes forked from one that has imported the broker: imports take most of what a start costs (Linux)."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

import psutil

from tests.kit.processes.environment import environment
from tests.kit.processes.redis_server import die_with_parent

SUPPORTED = sys.platform == "linux"
REPOSITORY = Path(__file__).parents[3]


class ForkedProcess(psutil.Process):
    """A child of this process that another one has forked, with what a `Popen` has besides."""

    @property
    def returncode(self) -> int | None:
        """Return the exit code, or the negative number of the signal that ended it; None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """See `returncode`."""
        try:
            code = self.wait(0)
        except psutil.TimeoutExpired:
            return None
        return None if code is None else int(code)


class Template:
    """The process that has imported everything, and forks."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.kit.processes.template"]
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            preexec_fn=die_with_parent,
        )
        self._lock = Lock()

    def fork(
        self, arguments: Sequence[str], log: Path, variables: Mapping[str, str], script: Path | None = None
    ) -> ForkedProcess:
        """Start `wecom-broker` or a script with these arguments and variables; it writes to the log."""
        asked = {
            "script": str(script or ""),
            "arguments": [*arguments],
            "log": str(log),
            "variables": dict(variables),
            "parent": psutil.Process().pid,
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        with self._lock, _adopting():
            print(json.dumps(asked), file=stdin, flush=True)
            return ForkedProcess(int(stdout.readline()))


@cache
def template() -> Template:
    """Return the template of this process, which ends with it."""
    return Template()


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of what loses its own inside the block: `poll` and `wait` know children only."""
    pr_set_child_subreaper = 36
    libc = ctypes.CDLL(None)
    libc.prctl(pr_set_child_subreaper, 1)
    try:
        yield
    finally:
        libc.prctl(pr_set_child_subreaper, 0)
