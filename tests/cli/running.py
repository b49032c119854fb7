"""A playground beside the commands under test, and ways to run commands as an operator does."""

import asyncio
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from broker.cli import main
from broker.cli.demo.playground import Playground, playground

WITHIN_SECONDS = 60.0


@contextmanager
def running_playground() -> Iterator[Playground]:
    """Run a playground on a loop of its own: commands bring theirs."""
    started: queue.Queue[Playground | BaseException] = queue.Queue()
    loops: queue.Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        loops.put((asyncio.get_running_loop(), stop))
        async with playground() as running:
            started.put(running)
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            started.put(error)
            raise

    thread = threading.Thread(target=work, name="playground")
    thread.start()
    loop, stop = loops.get()
    try:
        found = started.get(timeout=WITHIN_SECONDS)
        if isinstance(found, BaseException):
            raise found
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def run(*arguments: str, **environment: str) -> Result:
    """Run a command in this process, and see that it does not end in a traceback."""
    result = CliRunner().invoke(main, arguments, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process of its own, for as long as the test looks at it."""
    command = [sys.executable, "-m", "broker", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def interrupted(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Press Ctrl-C; return exit code, and what was still said on stdout and stderr."""
    running.send_signal(signal.SIGINT)
    out, error = running.communicate(timeout=WITHIN_SECONDS)
    assert "Traceback" not in out + error
    return running.returncode, out, error
