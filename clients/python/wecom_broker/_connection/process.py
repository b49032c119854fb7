"""The state of gRPC after a fork: it does not work in the child.

The threads of gRPC stay in the parent process. In a child the parent's channels are dead, and new ones hang
or crash the process if the parent had any at the time of the fork (tried with grpcio 1.85).
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

from wecom_broker.errors import MadeBeforeFork

if TYPE_CHECKING:
    import grpc.aio


class Process:
    """Identifies the running process. Comparing objects is cheaper than asking for the process id."""

    current = object()
    channels: ClassVar[WeakSet[grpc.aio.Channel]] = WeakSet()
    """The channels in use."""
    inherited_grpc = False
    """Whether the parent process had channels when it forked this one."""

    @classmethod
    def prepare(cls) -> None:
        """Free the channels of closed clients, before a fork."""
        if cls.channels:
            gc.collect()

    @classmethod
    def start_anew(cls) -> None:
        """Reset the state in the child process."""
        cls.current = object()
        cls.inherited_grpc = cls.inherited_grpc or bool(cls.channels)

    @classmethod
    def require_working_grpc(cls) -> None:
        """Raise MadeBeforeFork where a new channel could not work."""
        if cls.inherited_grpc:
            raise MadeBeforeFork("MADE_BEFORE_FORK", f"another client was made before a fork; {_REMEDY}")


_REMEDY = "make clients in the child process only, or start the process by spawn"

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=Process.prepare, after_in_child=Process.start_anew)


def made_before_fork() -> MadeBeforeFork:
    """Return the error of a client that was made in the parent process."""
    return MadeBeforeFork("MADE_BEFORE_FORK", f"the client was made before a fork; {_REMEDY}")
