"""How a command runs and ends: by a signal, or with an error that says what to do."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import click

try:
    from uvloop import run
except ImportError:  # Windows and PyPy have none.
    from asyncio import run  # type: ignore[assignment]


def run_until_stopped(serve: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or a first SIGINT or SIGTERM cancels it; a second one exits immediately."""

    async def guarded() -> None:
        task = asyncio.ensure_future(serve)
        loop = asyncio.get_running_loop()
        asked = False

        def stop(number: int) -> None:
            nonlocal asked
            if asked:
                os._exit(128 + number)
            asked = True
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        try:
            await task
        except asyncio.CancelledError:
            if not asked:
                raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    run(guarded())


def say_none(*, as_json: bool) -> None:
    """Tell a person that a list is empty, on stderr; a program sees it."""
    if not as_json:
        click.echo("none", err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print the error on stderr, and exit."""
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
