"""A record is one line of JSON, never longer than what is written in one piece, and can be read back."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKind
from broker.telemetry.audit.line import LONGEST, Malformed, fields_of, read_line, write_line
from tests.unit.telemetry.audit_records import RECORD

TEXTS = {field.name: st.text(max_size=600) for field in fields(AuditRecord) if field.default == ""}
OF_TARGET = {field.name: st.text(max_size=600) for field in fields(AuditTarget) if field.default == ""}


def test_a_line_holds_the_whole_record() -> None:
    assert {
        "time": "2026-03-02T12:00:00.000+00:00",
        "outcome": "handed_out",
        "caller": "orders",
        "peer": "192.0.2.7",
        "action": "token.get",
        "operation": "",
        "target": {
            "app": "crm",
            "corp_id": "ww1child",
            "kind": "access_token",
            "agent_id": 1000010,
            "share_kind": "corp_group",
            "parent_corp_id": "",
            "user_id": "",
            "path": "",
        },
        "generation": 7,
        "fingerprint": "0123456789ab",
        "reason": "",
        "request_id": "6b1f",
        "repeats": 1,
    } == json.loads(write_line(RECORD))


@given(st.builds(dict, st.fixed_dictionaries(TEXTS)), st.builds(dict, st.fixed_dictionaries(OF_TARGET)))
def test_any_record_is_one_short_line(texts: dict[str, str], target: dict[str, str]) -> None:
    record = replace(RECORD, target=AuditTarget(**target), **texts)
    line = write_line(record)

    assert len(line) <= LONGEST
    assert 1 == line.count(b"\n")
    assert line.endswith(b"\n")
    read = read_line(line)
    assert record.caller.startswith(read.caller)
    assert record.target.path.startswith(read.target.path)


def test_the_fields_of_a_record_are_values_and_no_names_of_python() -> None:
    target = AuditTarget("crm", "ww1child", CredentialKind.ACCESS_TOKEN, 7, ShareKind.CORP_GROUP)

    assert {str, int} == {
        type(value) for value in fields_of(replace(RECORD, target=target))["target"].values()
    }


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_line(write_line(RECORD)) == RECORD


def test_fields_of_a_later_version_are_passed_over_and_those_of_an_earlier_one_may_lack() -> None:
    written = json.loads(write_line(RECORD))
    del written["repeats"]
    written["region"], written["target"]["cluster"] = "eu", 4

    assert read_line(json.dumps(written).encode()) == RECORD


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b"{}",
        b'{"time":"2026-03-02T12:00:00+00:00","outcome":"handed_out"}',
        b'{"time":"2026-03-02T12:00:00+00:00","outcome":"stolen","target":{}}',
        b'{"time":"2026-03-02T12:00:00","outcome":"refused","target":{}}',
        b'{"time":7,"outcome":"refused","target":{}}',
        b'{"time":"2026-03-02T12:00:00+00:00","outcome":"refused","target":[]}',
        b'{"time":"2026-03-02T12:00:00+00:00","outcome":"refused","target":{"app":7}}',
        b'{"time":"2026-03-02T12:00:00+00:00","outcome":"refused","target":{},"repeats":"7"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_record_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        read_line(line)


def test_outcomes_are_those_of_the_page() -> None:
    assert ["handed_out", "refused", "rotated", "reported", "operated"] == list(AuditOutcome)
