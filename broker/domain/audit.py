"""What the audit trail says: who got, was refused, reported or did what. Never a value, only fingerprints."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.domain.credentials import Credential, CredentialKey

BROKER = "broker"
"""The peer of what the broker does by itself."""


class AuditOutcome(StrEnum):
    """What a record is about."""

    HANDED_OUT = "handed_out"
    """A caller received a credential."""
    REFUSED = "refused"
    """Somebody has no right, no identity, or asks too often."""
    ROTATED = "rotated"
    """The broker replaced a credential at WeCom."""
    REPORTED = "reported"
    """A caller reported that WeCom refuses a credential."""
    OPERATED = "operated"
    """An operator did something."""


@dataclass(frozen=True, slots=True)
class AuditTarget:
    """What a record concerns; what is not known, or does not apply, is empty."""

    app: str = ""
    corp_id: str = ""
    kind: str = ""
    """The kind of the credential, or of what else the operation is about."""
    agent_id: int = 0
    share_kind: str = ""
    parent_corp_id: str = ""
    user_id: str = ""
    path: str = ""
    """WeCom's path, of an API call."""

    @classmethod
    def of(cls, key: CredentialKey) -> "AuditTarget":
        """Return the target that is this credential."""
        return cls(key.app, key.corp_id, key.kind, key.agent_id, key.share_kind, key.parent_corp_id)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One entry of the audit trail."""

    time: datetime
    outcome: AuditOutcome
    caller: str = ""
    """The configured name; empty = the broker itself, or somebody unknown."""
    peer: str = ""
    """From where: an address, `unix`, or `broker` for what the broker does by itself."""
    action: str = ""
    """As in the rules of callers."""
    operation: str = ""
    """The RPC or the command, where the action alone does not say it."""
    target: AuditTarget = AuditTarget()
    generation: int = 0
    fingerprint: str = ""
    reason: str = ""
    """Why something was refused or failed, or how a report ended."""
    request_id: str = ""
    repeats: int = 1
    """How many occurrences this record stands for."""

    @classmethod
    def rotation(cls, time: datetime, credential: Credential) -> "AuditRecord":
        """Return the record of a credential that the broker has just replaced."""
        return cls(
            time,
            AuditOutcome.ROTATED,
            peer=BROKER,
            target=AuditTarget.of(credential.key),
            generation=credential.generation,
            fingerprint=credential.value.fingerprint(),
        )
