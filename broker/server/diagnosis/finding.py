"""What the doctor found, and what it was told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.apps import AppKind
from broker.server.diagnosis.words import ENGLISH, Words
from broker.usecases.refusals.remedies import Whose

APP_KINDS: Mapping[str, AppKind | None] = {**{kind: kind for kind in AppKind}, "provider": None}
"""By the kind that a broker tells of an app."""


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

    def whose(self, app: str, corp_id: str = "", parent_corp_id: str = "") -> Whose:
        """Return on what the remedies of an app depend; one of unknown kind counts as self-built."""
        kind = next((known.kind for known in self.apps if known.name == app), "")
        return Whose(app, APP_KINDS.get(kind, AppKind.SELF_BUILT), corp_id, parent_corp_id)
