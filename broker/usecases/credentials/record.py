"""A credential as a record of the store, and back."""

import json
from datetime import UTC, datetime, timedelta

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.ports.store import Record
from broker.domain.secret import Secret

KEPT_AFTER_EXPIRY = timedelta(days=1)
"""So that the fencing number outlives its credential (engine rule 3)."""


def to_record(credential: Credential) -> Record:
    """Write the credential down; the store seals the payload."""
    payload = {
        "value": credential.value.reveal(),
        "generation": credential.generation,
        "obtained_at": credential.obtained_at.timestamp(),
        "expires_at": credential.expires_at.timestamp(),
        "renewed_at": credential.renewed_at.timestamp(),
    }
    return Record(
        credential.key.name,
        credential.fence,
        json.dumps(payload).encode(),
        credential.expires_at + KEPT_AFTER_EXPIRY,
    )


def from_record(key: CredentialKey, record: Record) -> Credential:
    """Read the credential of that key."""
    payload = json.loads(record.payload)
    return Credential(
        key,
        Secret(payload["value"]),
        payload["generation"],
        record.fence,
        datetime.fromtimestamp(payload["obtained_at"], UTC),
        datetime.fromtimestamp(payload["expires_at"], UTC),
        datetime.fromtimestamp(payload["renewed_at"], UTC),
    )
