"""What a servicer's surroundings look like to it, without a wire."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc.aio
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from broker.adapters.system import SystemRandomness
from broker.domain.ports.clock import Clock
from broker.server.grpc.audit.records import Audit
from broker.usecases.audit.journal import AuditJournal
from tests.kit.memory.audit_trail import MemoryTrail
from tests.unit.telemetry.audit_records import Witness


@dataclass
class Context:
    """A request's context: who calls, and how the call was ended."""

    metadata: Sequence[tuple[str, str | bytes]] | None = ()
    auth: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    aborted: Any = None
    written: list[object] = field(default_factory=list)
    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    sent: object = None
    """The request, if it is read by the handler."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        return self.metadata

    def peer(self) -> str:
        return "ipv4:192.0.2.7:50000"

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        return self.auth

    async def read(self) -> object:
        return self.sent

    async def write(self, message: object) -> None:
        self.written.append(message)
        self.wrote.set()

    async def abort_with_status(self, status: Any) -> NoReturn:
        self.aborted = status
        raise grpc.aio.AbortError

    @property
    def rich(self) -> Status:
        """Return the status that the call was ended with."""
        (packed,) = [
            value for name, value in self.aborted.trailing_metadata if name == "grpc-status-details-bin"
        ]
        return Status.FromString(packed)


def audit_in_memory(clock: Clock, trail: MemoryTrail | None = None) -> Audit:
    """Return an audit whose records are in that trail."""
    journal = AuditJournal(trail or MemoryTrail(), Witness(), clock)
    return Audit(journal, clock, SystemRandomness())


def bearer(token: str) -> Context:
    """Return the context of a caller with that token."""
    return Context([("user-agent", "grpc"), ("authorization", f"Bearer {token}")])


def error_info(status: Status) -> ErrorInfo:
    """Return what the status says for programs."""
    found = ErrorInfo()
    assert status.details[0].Unpack(found)
    return found


def retry_info(status: Status) -> RetryInfo | None:
    """Return how long to wait, if waiting helps."""
    found = RetryInfo()
    return found if any(detail.Unpack(found) for detail in status.details) else None
