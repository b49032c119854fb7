"""Secrets that a command prints: `{ command = ["vault", "kv", "get", "-field=key", "secret/broker"] }`."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from broker.config.text import NotUtf8, decode

COMMAND_SECONDS = 10.0
"""How long a command may take: the broker neither starts nor reloads meanwhile."""
LONGEST_OUTPUT = 64 * 1024


def output_of(command: Sequence[str]) -> str:
    """Run the command without a shell, and return what it prints. Raises `ValueError`.

    No error repeats what it printed, nor its arguments: either may hold a secret.
    """
    program = command[0]
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, and no shell reads it
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it has a NUL"
        raise ValueError(f"cannot run {program!r}: {why}") from None
    with process:
        try:
            printed, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            raise ValueError(f"{program!r} did not end within {COMMAND_SECONDS:.0f} s") from None
        finally:
            _end(process)
    if process.returncode:
        raise ValueError(f"{program!r} failed with status {process.returncode}; run it by hand to see why")
    if len(printed) > LONGEST_OUTPUT:
        raise ValueError(f"{program!r} printed more than {LONGEST_OUTPUT} bytes")
    try:
        return decode(printed)
    except NotUtf8 as problem:
        raise ValueError(f"what {program!r} printed {problem}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and what it started: those hold its output open."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
