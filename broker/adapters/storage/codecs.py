"""How credentials, share lists, sessions and remembered errors are written into records, and read again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from broker.adapters.storage.codec import Codec
from broker.adapters.storage.payload import (
    AppsPayload,
    Count,
    Fence,
    Moment,
    Number,
    RecordDamaged,
    RecordPayload,
    SecretText,
)
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import KINDS
from broker.domain.people.sessions import Session
from broker.domain.ports.store import Record
from broker.domain.remembered_errors import RememberedError
from broker.domain.shares import AppShare, ListingKey, ShareList

CREDENTIAL_KEPT = timedelta(days=1)
"""How long it is kept after its expiry, so that the fencing number outlives it (engine rule 3)."""
SHARES_KEPT = timedelta(days=30)
"""A broker that was down for long starts from the last known list, then lists again."""


class _CredentialPayload(AppsPayload):
    value: SecretText
    generation: Fence
    obtained_at: Moment
    expires_at: Moment
    renewed_at: Moment


class _OutlivedPayload(_CredentialPayload):
    promised_until: Moment | None = None


def _encode_credential(credential: Credential) -> Record:
    kind = _CredentialPayload if credential.promised_until is None else _OutlivedPayload
    payload = kind.model_validate(credential, from_attributes=True)
    kept_until = credential.expires_at + CREDENTIAL_KEPT
    return Record(credential.key.name, credential.fence, payload.to_bytes(), kept_until)


def _decode_credential(key: CredentialKey, record: Record) -> Credential:
    found = Credential(key, fence=record.fence, **_OutlivedPayload.fields_of_record(record))
    # Most were renewed once, when they were obtained: then both are one object, of thousands of credentials.
    if (found.generation, found.renewed_at) == (found.fence, found.obtained_at):
        return replace(found, generation=found.fence, renewed_at=found.obtained_at)
    return found


class _SharesPayload(AppsPayload):
    listed_at: Moment
    shares: list[tuple[str, Number, str]]
    since: list[Fence] | None = None
    """Kept apart because older brokers read three fields of each share; they do not write it."""


def _encode_shares(listing: ShareList) -> Record:
    payload = _SharesPayload(
        fence=listing.fence,
        identity=listing.identity,
        listed_at=listing.listed_at,
        shares=[(share.corp_id, share.agent_id, share.corp_name) for share in listing.shares],
        since=[share.since for share in listing.shares],
    )
    return Record(listing.key.name, listing.fence, payload.to_bytes(), listing.listed_at + SHARES_KEPT)


def _decode_shares(key: ListingKey, record: Record) -> ShareList:
    read = _SharesPayload.of_record(record)
    since = read.since or [0] * len(read.shares)
    if len(since) != len(read.shares):
        raise RecordDamaged(record.name, "since: not one for each share")
    app, kind, parent = key
    shares = (AppShare(kind, *share, began) for share, began in zip(read.shares, since, strict=True))
    return ShareList(app, kind, record.fence, read.listed_at, tuple(shares), parent, read.identity)


class _SessionPayload(AppsPayload):
    app: str
    corp_id: str
    user_id: str
    source_user_id: str
    converted: bool
    session_key: SecretText
    expires_at: Moment
    # Older brokers do not write these.
    share_kind: ShareKind | None = None
    agent_id: Number = 0
    listing_fence: Fence = 0


class _SuiteSessionPayload(_SessionPayload):
    parent_corp_id: str = ""
    installed_at: Moment | None = None


def _encode_session(session: Session) -> Record:
    kind = _SessionPayload if session.installed_at is None else _SuiteSessionPayload
    payload = kind.model_validate(session, from_attributes=True).model_copy(update={"fence": 1})
    return Record(Session.name_of(session.session_id), 1, payload.to_bytes(), session.expires_at)


def _decode_session(session_id: str, record: Record) -> Session:
    return Session(session_id, **_SuiteSessionPayload.fields_of_record(record))


class _ErrorPayload(RecordPayload):
    reason: str
    message: str
    metadata: dict[str, str]
    until: Moment
    streak: Count
    mark: str
    """The fingerprint of the secret."""
    # Older brokers do not write these.
    first_at: Moment | None = None
    last_at: Moment | None = None


def _encode_error(remembered: RememberedError) -> Record:
    payload = _ErrorPayload(
        fence=remembered.fence,
        reason=remembered.kind.reason,
        message=remembered.message,
        metadata=dict(remembered.metadata),
        until=remembered.until,
        streak=remembered.streak,
        mark=remembered.fingerprint,
        first_at=remembered.first_at,
        last_at=remembered.last_at,
    )
    numbered_at = datetime.fromtimestamp(remembered.fence / 1000, UTC)
    # The streak matters for as long again after the error expires. The number lies after that if it takes the
    # place of one that was given by a clock that was ahead.
    kept_until = remembered.until + abs(remembered.until - numbered_at)
    return Record(remembered.name_of(remembered.scope), remembered.fence, payload.to_bytes(), kept_until)


def _decode_error(scope: str, record: Record) -> RememberedError:
    read = _ErrorPayload.of_record(record)
    if read.reason not in KINDS:
        raise RecordDamaged(record.name, "reason: unknown")
    kind = KINDS[read.reason]
    return RememberedError(
        scope,
        record.fence,
        kind,
        read.message,
        read.metadata,
        read.until,
        read.streak,
        read.mark,
        read.first_at,
        read.last_at,
    )


CREDENTIALS = Codec(
    lambda key: key.name,
    _encode_credential,
    _decode_credential,
    is_forgotten=True,
    app_of=lambda credential: (credential.key.app, credential.identity),
)
SHARE_LISTS = Codec(
    lambda key: key.name,
    _encode_shares,
    _decode_shares,
    app_of=lambda listing: (listing.app, listing.identity),
)
SESSIONS = Codec(
    Session.name_of,
    _encode_session,
    _decode_session,
    is_forgotten=True,
    app_of=lambda session: (session.app, session.identity),
)
ERRORS = Codec(RememberedError.name_of, _encode_error, _decode_error, is_forgotten=True)
