"""What the doctor was told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wecom_broker.v1 import admin_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Facts:
    """What one replica answered, of itself and of the fleet."""

    now: datetime
    status: pb.GetStatusResponse
    apps: Sequence[pb.App] = field(default=())
    replicas: Sequence[pb.ReplicaInfo] = field(default=())
    refusals: Sequence[pb.Refusal] = field(default=())
    quotas: Sequence[pb.Quota] = field(default=())
    groups: Sequence[pb.EventGroup] = field(default=())
