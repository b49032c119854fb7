"""The program of `forked.Template`: fork for each line of its input, and become `wecom-broker` there."""

import gc
import json
import os
import runpy
import signal
import sys
import time
from typing import Any

import broker.cli.serving.command
import broker.cli.simulating.command  # noqa: F401 - each child would import it
from tests.kit.processes.redis_server import die_with_parent


def serve() -> dict[str, Any] | None:
    """Fork as long as there are requests. In a child return what is asked of it; None at the end."""
    for line in sys.stdin:
        if os.fork() == 0:
            if os.fork() != 0:
                os._exit(0)
            return dict(json.loads(line))
        os.wait()
    return None


def become(asked: dict[str, Any]) -> None:
    """Become what is asked, as a child of who asks."""
    while os.getppid() != asked["parent"]:
        time.sleep(0.001)
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["variables"])
    os.write(1, f"{os.getpid()}\n".encode())
    output = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv[1:] = asked["arguments"]
    if asked["script"]:
        runpy.run_path(asked["script"], run_name="__main__")
    else:
        runpy.run_module("broker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    if asked := serve():
        become(asked)
