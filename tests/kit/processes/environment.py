"""What the processes of the tests get as their environment."""

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
    """Return this process's, with a place where compiled modules are kept between the processes of one run.

    A machine that keeps none would have each broker compile all its libraries.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": _bytecode()}
