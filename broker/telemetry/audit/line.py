"""A record as one line of JSON, as docs/audit.md describes it, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget

LONGEST = 4096
"""Bytes of a line at most: several processes append to one file or pipe, and may not split each other's."""
LONGEST_TEXT, SHORT_TEXT = 256, 24
"""Characters of a text at most; the second where the line would be too long otherwise."""


class Malformed(Exception):
    """The line is no audit record."""


def fields_of(record: AuditRecord) -> dict[str, Any]:
    """Return the record's fields by name, in the order of the line."""
    return {**asdict(record, dict_factory=_plain), "time": record.time.isoformat(timespec="milliseconds")}


def write_line(record: AuditRecord) -> bytes:
    """Return the line, its end included. Texts that are too long are cut."""
    line = _line(_cut(record, LONGEST_TEXT))
    return line if len(line) <= LONGEST else _line(_cut(record, SHORT_TEXT))


def read_line(line: bytes) -> AuditRecord:
    """Return the record. Raises `Malformed`."""
    try:
        given = json.loads(line)
        target = AuditTarget(**_of_type(AuditTarget, given.pop("target")))
        time = datetime.fromisoformat(given.pop("time"))
        outcome = AuditOutcome(given.pop("outcome"))
        record = AuditRecord(time, outcome, target=target, **_of_type(AuditRecord, given))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Malformed(type(error).__name__) from None
    if time.tzinfo is None:
        raise Malformed("time without a zone")
    return record


def _of_type(kind: type[AuditRecord | AuditTarget], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this version knows. Raises `TypeError` where one has another type."""
    if not isinstance(given, Mapping):
        raise TypeError(kind.__name__)
    known = {}
    for field in fields(kind):
        if field.name not in given:
            continue
        value = given[field.name]
        if type(value) is not (int if isinstance(field.default, int) else str):
            raise TypeError(field.name)
        known[field.name] = value
    return known


def _plain(named: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields with the values of enumerations: a log for people would show their names, too."""
    return {name: str(value) if isinstance(value, str) else value for name, value in named}


def _line(record: AuditRecord) -> bytes:
    return json.dumps(fields_of(record), separators=(",", ":")).encode() + b"\n"


def _cut(record: AuditRecord, longest: int) -> AuditRecord:
    return replace(
        record,
        target=replace(record.target, **_cut_texts(record.target, longest)),
        **_cut_texts(record, longest),
    )


def _cut_texts(of: AuditRecord | AuditTarget, longest: int) -> dict[str, Any]:
    texts = {field.name: getattr(of, field.name) for field in fields(of)}
    return {name: text[:longest] for name, text in texts.items() if type(text) is str and len(text) > longest}
