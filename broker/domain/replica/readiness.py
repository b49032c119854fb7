"""Why a replica is not ready."""

from dataclasses import dataclass
from enum import StrEnum


class Hindrance(StrEnum):
    """What keeps a replica from being ready."""

    STOPPING = "stopping"
    WECOM = "wecom"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why no requests should be sent to a replica."""

    hindrance: Hindrance
    problem: str
