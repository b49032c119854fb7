"""Credentials of any age, for tests."""

from datetime import UTC, datetime, timedelta

from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.secret import Secret

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
KEY = CredentialKey("crm", "ww1child", 1000010, ShareKind.CORP_GROUP)


def credential(
    lifetime: timedelta = timedelta(hours=2),
    *,
    renewed_after: timedelta = timedelta(0),
    key: CredentialKey = KEY,
) -> Credential:
    """Return one that was obtained at noon; its value was given again after `renewed_after`."""
    return Credential(
        key=key,
        value=Secret("token-of-the-child"),
        generation=7,
        fence=9,
        obtained_at=NOON,
        expires_at=NOON + lifetime,
        renewed_at=NOON + renewed_after,
    )
