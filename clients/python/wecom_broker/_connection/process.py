"""The state of gRPC after a fork: it does not work in the child.

The threads of gRPC stay in the parent process. In a child the parent's channels are dead, and new ones hang
or crash the process if the parent ever had any, even closed ones (tried with grpcio 1.85).

When the last channel is collected as garbage, gRPC waits for its thread to end. A child has no such
thread, so a garbage collection there would never end. A child therefore keeps gRPC from shutting down.
"""

from __future__ import annotations

import os

import grpc.aio

from wecom_broker.errors import MadeBeforeFork


class Process:
    """Identifies the running process. Comparing objects is cheaper than asking for the process id."""

    current = object()
    has_used_grpc = False
    """Whether this process ever had a channel."""
    inherited_grpc = False
    """Whether a process that this one was forked from had a channel before."""
    _holds = 0
    """How many running forks hold gRPC."""

    @classmethod
    def hold_grpc(cls) -> None:
        """Keep gRPC from shutting down, before a fork; the child never lets it."""
        if cls.has_used_grpc:
            grpc.aio.init_grpc_aio()
            cls._holds += 1

    @classmethod
    def release_grpc(cls) -> None:
        """Let gRPC shut down again in the parent process."""
        if cls._holds:
            cls._holds -= 1
            grpc.aio.shutdown_grpc_aio()

    @classmethod
    def start_anew(cls) -> None:
        """Reset the state in the child process."""
        cls.current = object()
        cls.inherited_grpc = cls.inherited_grpc or cls.has_used_grpc

    @classmethod
    def require_working_grpc(cls) -> None:
        """Raise MadeBeforeFork where a new channel could not work."""
        if cls.inherited_grpc:
            raise MadeBeforeFork("MADE_BEFORE_FORK", f"a client was used before a fork; {_REMEDY}")
        cls.has_used_grpc = True


_REMEDY = "use clients in the child process only, or start the process by spawn"

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=Process.hold_grpc, after_in_parent=Process.release_grpc, after_in_child=Process.start_anew
    )


def made_before_fork() -> MadeBeforeFork:
    """Return the error of a client that was made in the parent process."""
    return MadeBeforeFork("MADE_BEFORE_FORK", f"the client was made before a fork; {_REMEDY}")
