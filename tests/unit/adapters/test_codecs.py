"""Codecs: the bytes are those that older brokers of the fleet read and write; damage is told from values."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.adapters.storage import codecs
from broker.adapters.storage.payload import RecordDamaged
from broker.adapters.storage.replica_codec import REPLICAS
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import InvalidRequest, RateLimited
from broker.domain.people.sessions import Session
from broker.domain.ports.store import Record
from broker.domain.remembered_errors import RememberedError
from broker.domain.replica.report import KEPT, Meeting, ReplicaReport, SealUse
from broker.domain.secret import Secret
from broker.domain.shares import AppShare, ListingKey, ShareList
from tests.unit.adapters.kept import (
    AT,
    FENCE,
    FLAG,
    MAYBE_TEXT,
    MOMENT,
    NUMBER,
    SECRET,
    TEXT,
    Kept,
    changed,
    without,
)
from tests.unit.adapters.kept_suites import SUITE_KINDS

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
KEY = CredentialKey("crm", "ww1", 1000002)
LISTING = ListingKey("crm", ShareKind.CORP_GROUP)
SESSION_ID = "0123456789abcdef0123456789abcdef"
OPTIONAL = (
    *("since", "share_kind", "agent_id", "listing_fence", "parent_corp_id", "installed_at", "first_at"),
    *("promised_until", "are_children_stale", "last_at"),
)
LIMIT, CHILD = "limit:/cgi-bin/gettoken:ww1", "access_token:crm:corp_group:ww-child:7"

CREDENTIAL = Kept(
    codecs.CREDENTIALS,
    KEY,
    Credential(
        KEY, Secret('tok-中"en'), 1772438401123, 1772438401124, AT, AT + 2 * HOUR, renewed_at=AT + HOUR
    ),
    Record(
        "access_token:crm:own:ww1:1000002",
        1772438401124,
        b'{"value": "tok-\\u4e2d\\"en", "generation": 1772438401123, "obtained_at": 1772438401.123456,'
        b' "expires_at": 1772445601.123456, "renewed_at": 1772442001.123456}',
        AT + 2 * HOUR + timedelta(days=1),
    ),
    {
        "value": SECRET,
        "generation": FENCE,
        **dict.fromkeys(("obtained_at", "expires_at", "renewed_at"), MOMENT),
    },
)
OUTLIVED = Kept(
    CREDENTIAL.codec,
    KEY,
    replace(CREDENTIAL.value, promised_until=AT),
    replace(
        CREDENTIAL.record,
        payload=CREDENTIAL.record.payload[:-1] + b', "promised_until": 1772438401.123456}',
    ),
    {"promised_until": MOMENT[1:]},
)
SHARE_LIST = Kept(
    codecs.SHARE_LISTS,
    LISTING,
    ShareList(
        LISTING.app,
        LISTING.share_kind,
        1772438401124,
        AT,
        (
            AppShare(ShareKind.CORP_GROUP, "ww-child", 7, "示例", 1772438401000),
            AppShare(ShareKind.CORP_GROUP, "ww-other", 0),
        ),
    ),
    Record(
        "shares:crm:corp_group",
        1772438401124,
        b'{"listed_at": 1772438401.123456, "shares": [["ww-child", 7, "\\u793a\\u4f8b"],'
        b' ["ww-other", 0, ""]], "since": [1772438401000, 0]}',
        AT + timedelta(days=30),
    ),
    {
        "listed_at": MOMENT,
        "shares": (None, {}, "x", [5, 6], [["ww", 7]] * 2, [["ww", 2**70, ""]] * 2, [["ww", "7", ""]] * 2),
        "since": (5, {}, [1], [1, 2, 3], [-1, 0], [1e300, 0], [2**70, 0], ["1", "2"], [None, None]),
    },
)
SUITE_LISTING = ListingKey("tailored", ShareKind.SUPPLY_CHAIN, "wpParent")
SUITE_SHARE_LIST = Kept(
    codecs.SHARE_LISTS,
    SUITE_LISTING,
    ShareList("tailored", ShareKind.SUPPLY_CHAIN, 7, AT, (), "wpParent"),
    Record(
        "shares:tailored:supply_chain:wpParent",
        7,
        b'{"listed_at": 1772438401.123456, "shares": [], "since": []}',
        AT + timedelta(days=30),
    ),
    {"listed_at": MOMENT},
)
SESSION = Kept(
    codecs.SESSIONS,
    SESSION_ID,
    Session(
        SESSION_ID,
        "crm",
        "ww-child",
        "child-lisi",
        "wo-lisi",
        converted=True,
        session_key=Secret("a2V5"),
        expires_at=AT,
        share_kind=ShareKind.SUPPLY_CHAIN,
        agent_id=7,
        listing_fence=1772438401124,
    ),
    Record(
        "session:3eb1bd439947eb762998e566ccc2e099c791118b",
        1,
        b'{"app": "crm", "corp_id": "ww-child", "user_id": "child-lisi", "source_user_id": "wo-lisi",'
        b' "converted": true, "session_key": "a2V5", "expires_at": 1772438401.123456,'
        b' "share_kind": "supply_chain", "agent_id": 7, "listing_fence": 1772438401124}',
        AT,
    ),
    {
        **dict.fromkeys(("app", "corp_id", "user_id", "source_user_id"), TEXT),
        "converted": FLAG,
        "session_key": SECRET,
        "expires_at": MOMENT,
        "share_kind": (*MAYBE_TEXT, "", "a kind of 2030"),
        "agent_id": NUMBER,
        "listing_fence": FENCE,
    },
)
UNKIND_SESSION = Kept(
    SESSION.codec,
    SESSION_ID,
    replace(SESSION.value, share_kind=None, agent_id=0, listing_fence=0),
    replace(
        SESSION.record,
        payload=SESSION.record.payload.partition(b' "share_kind"')[0]
        + b' "share_kind": null, "agent_id": 0, "listing_fence": 0}',
    ),
    {},
)
SUITE_SESSION = Kept(
    SESSION.codec,
    SESSION_ID,
    replace(SESSION.value, app="tailored", parent_corp_id="wpParent", installed_at=AT),
    replace(
        SESSION.record,
        payload=SESSION.record.payload.replace(b'"crm"', b'"tailored"')[:-1]
        + b', "parent_corp_id": "wpParent", "installed_at": 1772438401.123456}',
    ),
    {"parent_corp_id": TEXT, "installed_at": MOMENT[1:]},
)
REMEMBERED = Kept(
    codecs.ERRORS,
    LIMIT,
    RememberedError(
        LIMIT,
        1772438401123,
        RateLimited,
        "closed: 45009",
        {"errcode": "45009", "corp_id": "ww1"},
        AT + MINUTE,
        streak=2,
        fingerprint="0123456789ab",
        first_at=AT,
        last_at=AT + MINUTE / 2,
    ),
    Record(
        f"refusal:{LIMIT}",
        1772438401123,
        b'{"reason": "RATE_LIMITED", "message": "closed: 45009", "metadata": {"errcode": "45009",'
        b' "corp_id": "ww1"}, "until": 1772438461.123456, "streak": 2, "mark": "0123456789ab",'
        b' "first_at": 1772438401.123456, "last_at": 1772438431.123456}',
        AT + 2 * MINUTE,
    ),
    {
        "reason": (*TEXT, "", "A_REASON_OF_2030"),
        "message": TEXT,
        "metadata": (None, [], "x", {"errcode": 45009}),
        "until": MOMENT,
        "streak": (*NUMBER, -1),
        "mark": TEXT,
        **dict.fromkeys(("first_at", "last_at"), MOMENT[1:]),
    },
)
MISTAKE = Kept(
    REMEMBERED.codec,
    CHILD,
    RememberedError(
        CHILD,
        1772438401123,
        InvalidRequest,
        "corp_id: is unknown",
        {"field": "corp_id", "errcode": "40013"},
        AT + MINUTE,
        streak=0,
        fingerprint="",
    ),
    Record(
        f"refusal:{CHILD}",
        1772438401123,
        b'{"reason": "INVALID_REQUEST", "message": "corp_id: is unknown", "metadata": {"field": "corp_id",'
        b' "errcode": "40013"}, "until": 1772438461.123456, "streak": 0, "mark": "", "first_at": null,'
        b' "last_at": null}',
        AT + 2 * MINUTE,
    ),
    {},
)
REPORT = Kept(
    REPLICAS,
    "broker-1",
    ReplicaReport(
        name="broker-1",
        at=AT,
        version="1.2",
        started_at=AT - MINUTE,
        obstacle="",
        wecom_healthy=False,
        wecom_error="slow",
        credentials=41,
        seal_keys=(SealUse("k1", seals=True, configured=True, count=12),),
        clock_problem="",
        certificates={"certificate": AT + MINUTE},
        meetings=(Meeting(CHILD, AT - MINUTE, 300, ("orders",)),),
        fence=1772438401123,
    ),
    Record(
        "replica:broker-1",
        1772438401123,
        b'{"at": 1772438401.123456, "version": "1.2", "started_at": 1772438341.123456, "obstacle": "",'
        b' "wecom_healthy": false, "wecom_error": "slow", "credentials": 41,'
        b' "seal_keys": [{"id": "k1", "seals": true, "configured": true, "count": 12}],'
        b' "clock_problem": "", "certificates": {"certificate": 1772438461.123456},'
        b' "meetings": [{"scope": "access_token:crm:corp_group:ww-child:7", "since": 1772438341.123456,'
        b' "calls": 300, "callers": ["orders"]}]}',
        AT + KEPT,
    ),
    {
        **dict.fromkeys(("at", "started_at"), MOMENT),
        **dict.fromkeys(("version", "obstacle", "wecom_error", "clock_problem"), TEXT),
        **dict.fromkeys(("wecom_healthy",), FLAG),
        "credentials": (*NUMBER, -1),
        "seal_keys": (None, {}, "k1", [{"id": "k1"}]),
        "certificates": (None, [], {"certificate": "soon"}),
        "meetings": (None, {}, [{"scope": 5}]),
    },
)
ALL = {
    **SUITE_KINDS,
    "credential": CREDENTIAL,
    "credential that has outlived its end": OUTLIVED,
    "share list": SHARE_LIST,
    "share list of a suite": SUITE_SHARE_LIST,
    "session": SESSION,
    "session without its share": UNKIND_SESSION,
    "session of a suite": SUITE_SESSION,
    "remembered error": REMEMBERED,
    "remembered mistake": MISTAKE,
    "report of a replica": REPORT,
}
every_kind = pytest.mark.parametrize("kept", ALL.values(), ids=ALL)


@every_kind
def test_what_is_written_is_what_older_brokers_write(kept: Kept) -> None:
    written = kept.codec.encode(kept.value)

    assert kept.codec.name_of(kept.key) == kept.record.name == written.name
    older = without(replace(kept, record=written), "fence", "identity")  # they ignore these
    assert (kept.record.fence, kept.record.payload) == (written.fence, older.payload)
    assert abs(kept.record.keep_until - written.keep_until) <= timedelta(milliseconds=1)


@every_kind
def test_what_older_brokers_wrote_is_read(kept: Kept) -> None:
    assert kept.value == kept.codec.decode(kept.key, kept.record)


@every_kind
def test_what_a_later_broker_added_is_no_hindrance(kept: Kept) -> None:
    assert kept.value == kept.codec.decode(kept.key, changed(kept, mood="good"))


@pytest.mark.parametrize("kept", [kept for kept in ALL.values() if kept.codec.app_of])
def test_what_belongs_to_an_app_tells_which(kept: Kept) -> None:
    value = replace(kept.value, identity="ww8f3c1d5a77e0b942")

    assert value == kept.codec.decode(kept.key, kept.codec.encode(value))


@every_kind
def test_a_record_that_was_moved_to_another_number_is_damage(kept: Kept) -> None:
    written = kept.codec.encode(kept.value)

    assert kept.value == kept.codec.decode(kept.key, written)
    for fence in (written.fence - 1, written.fence + 1):
        with pytest.raises(RecordDamaged, match="number"):
            kept.codec.decode(kept.key, replace(written, fence=fence))


@pytest.mark.parametrize("fence", FENCE[1:])
@every_kind
def test_a_sealed_number_that_is_none_is_damage(kept: Kept, fence: object) -> None:
    with pytest.raises(RecordDamaged, match="fence"):
        kept.codec.decode(kept.key, changed(kept, fence=fence))


def test_an_error_whose_number_is_ahead_of_its_time_is_kept_until_it_ends() -> None:
    ahead = REMEMBERED.value.fence + 8 * 3_600_000
    written = codecs.ERRORS.encode(replace(REMEMBERED.value, fence=ahead))

    assert written.keep_until > REMEMBERED.value.until


def test_a_share_list_of_a_broker_that_did_not_write_since_when_is_read() -> None:
    read = codecs.SHARE_LISTS.decode(LISTING, without(SHARE_LIST, "since"))

    assert [0, 0] == [share.since for share in read.shares]
    assert SHARE_LIST.value == read


def test_a_session_of_a_broker_that_did_not_write_its_share_is_read() -> None:
    older = without(SESSION, "share_kind", "agent_id", "listing_fence")

    assert UNKIND_SESSION.value == codecs.SESSIONS.decode(SESSION_ID, older)


@pytest.mark.parametrize(
    ("kept", "field", "damage"),
    [
        pytest.param(kept, field, damage, id=f"{name}: {field}: {json.dumps(damage)[:20]}")
        for name, kept in ALL.items()
        for field, values in kept.damage.items()
        for damage in values
    ],
)
def test_a_field_of_a_wrong_type_or_out_of_range_is_damage(kept: Kept, field: str, damage: object) -> None:
    with pytest.raises(RecordDamaged, match=field):
        kept.codec.decode(kept.key, changed(kept, **{field: damage}))


@pytest.mark.parametrize(
    ("kept", "field"),
    [
        pytest.param(kept, field, id=f"{name}: {field}")
        for name, kept in ALL.items()
        for field in kept.damage
        if field not in OPTIONAL
    ],
)
def test_a_field_that_is_missing_is_damage(kept: Kept, field: str) -> None:
    with pytest.raises(RecordDamaged, match=field):
        kept.codec.decode(kept.key, without(kept, field))


@pytest.mark.parametrize(
    "payload",
    [b"{", b"null", b"[]", b"5", b'"x"', b"\xff", b"[" * 100_000, b'{"value": "\\ud800"}', b"9" * 10_000],
    ids=repr,
)
@every_kind
def test_what_is_no_payload_is_damage(kept: Kept, payload: bytes) -> None:
    with pytest.raises(RecordDamaged):
        kept.codec.decode(kept.key, replace(kept.record, payload=payload))


@pytest.mark.parametrize("damaged", [changed(CREDENTIAL, expires_at="x"), without(CREDENTIAL, "expires_at")])
def test_damage_is_told_without_what_is_secret(damaged: Record) -> None:
    with pytest.raises(RecordDamaged) as told:
        codecs.CREDENTIALS.decode(KEY, damaged)

    assert "tok-" not in str(told.value)
    assert KEY.name in str(told.value)
    assert told.value.__suppress_context__
