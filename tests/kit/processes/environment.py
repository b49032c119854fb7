"""The environment of the processes that tests start."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache


@cache
def _bytecode() -> str:
    folder = tempfile.mkdtemp(prefix="wecom-broker-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment() -> Mapping[str, str]:
    """Return this process's environment, with a folder for compiled modules that one run's processes share.

    Where Python does not write compiled modules, each broker would compile all its libraries.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": _bytecode()}
