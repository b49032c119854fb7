"""What keeps the broker's memory, which holds every secret, from other processes of this machine."""

import ctypes
import resource
import sys

PR_SET_DUMPABLE = 4
"""prctl(2): with 0 no core is written, and `/proc/PID/mem` and `environ` are root's, not the user's."""


def hide_memory() -> None:
    """Allow no core dump, and on Linux no debugger of another process but root's."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
