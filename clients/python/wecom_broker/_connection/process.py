"""The state of gRPC after a fork: it does not work in the child.

The threads of gRPC stay in the parent process. In a child the parent's channels are dead, and new ones hang
or crash the process if the parent ever had any, even closed ones (tried with grpcio 1.85).

When the last channel is collected as garbage, gRPC waits for its thread to end. A child has no such
thread, so a garbage collection there would never end. Whoever opens a channel therefore keeps gRPC from
shutting down, and a child inherits that for good.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import ClassVar
from weakref import WeakSet

import grpc.aio

from wecom_broker.errors import MadeBeforeFork


class Process:
    """Identifies the running process. Comparing objects is cheaper than asking for the process id."""

    current = object()
    has_used_grpc = False
    """Whether this process ever had a channel."""
    inherited_grpc = False
    """Whether a process that this one was forked from had a channel before."""
    _keeps_grpc = False
    """Whether one more than the channels needs gRPC, so that it does not shut down with the last of them."""
    _users: ClassVar[WeakSet[object]] = WeakSet()
    _lock = Lock()

    @classmethod
    def start_anew(cls) -> None:
        """Reset the state in the child process."""
        cls.current = object()
        cls.inherited_grpc = cls.inherited_grpc or cls.has_used_grpc

    @classmethod
    def use_grpc(cls, user: object) -> None:
        """Keep gRPC from shutting down at least until `leave_grpc`. Raises MadeBeforeFork in a child.

        What is left of the last channel may be collected much later: gRPC is kept until the next is opened.
        """
        if cls.inherited_grpc:
            raise MadeBeforeFork("MADE_BEFORE_FORK", f"a client was used before a fork; {_REMEDY}")
        with cls._lock:
            cls.has_used_grpc = True
            if not cls._users:
                if cls._keeps_grpc:
                    cls._keeps_grpc = False
                    grpc.aio.shutdown_grpc_aio()
                grpc.aio.init_grpc_aio()
                cls._keeps_grpc = True
            cls._users.add(user)

    @classmethod
    def leave_grpc(cls, user: object) -> None:
        """Let gRPC shut down when the next user comes, if this was the last."""
        cls._users.discard(user)


_REMEDY = "use clients in the child process only, or start the process by spawn"

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=Process.start_anew)


def made_before_fork() -> MadeBeforeFork:
    """Return the error of a client that was made in the parent process."""
    return MadeBeforeFork("MADE_BEFORE_FORK", f"the client was made before a fork; {_REMEDY}")
