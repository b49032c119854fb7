"""The environment of the processes that tests start."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache

NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


@cache
def _bytecode() -> str:
    folder = tempfile.mkdtemp(prefix="wecom-broker-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment() -> Mapping[str, str]:
    """Return this process's environment, in which Python keeps compiled modules.

    Where it does not write them beside their sources, those of one run share a folder: each broker would
    compile all its libraries otherwise, which takes three seconds.
    """
    if not os.environ.get(NO_BYTECODE):
        return os.environ
    kept = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    return {**kept, "PYTHONPYCACHEPREFIX": _bytecode()}
