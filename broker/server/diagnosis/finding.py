"""What the doctor found, and what it was told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.server.diagnosis.words import ENGLISH, Words


class Level(StrEnum):
    """How bad it is."""

    FAIL = "FAIL"
    """Callers get errors, or will."""
    WARN = "WARN"
    """Somebody should look."""
    OK = "OK"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """An app, a replica, a group, or what the broker depends on."""
    problem: str
    """The cause, with the figures; of what is well, what was seen."""
    remedy: str = ""
    """What to do, as a command where there is one."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one replica answered, of itself and of the fleet, and the language in which to say it."""

    now: datetime
    status: pb.GetStatusResponse
    apps: Sequence[pb.App] = field(default=())
    replicas: Sequence[pb.ReplicaInfo] = field(default=())
    refusals: Sequence[pb.Refusal] = field(default=())
    quotas: Sequence[pb.Quota] = field(default=())
    groups: Sequence[pb.EventGroup] = field(default=())
    words: Words = ENGLISH
