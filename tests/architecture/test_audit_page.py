"""The page of the audit trail says what is written, field by field."""

import json
from typing import Any

from broker.domain.audit import AuditOutcome, AuditRecord
from broker.telemetry.audit.line import write_line
from tests.architecture.documents import first_words, rows, section
from tests.architecture.sources import ROOT
from tests.unit.telemetry.audit_records import RECORD

PAGE = ROOT / "docs" / "audit.md"
TYPES = {str: "string", int: "integer", dict: "object"}


def described(record: AuditRecord) -> dict[str, str]:
    """Return the type of each field of the record's line, those of inner objects as `outer.inner`."""

    def walk(value: dict[str, Any], above: str) -> dict[str, str]:
        found = {}
        for name, inner in value.items():
            found[above + name] = TYPES[type(inner)]
            if isinstance(inner, dict):
                found |= walk(inner, f"{above}{name}.")
        return found

    return walk(json.loads(write_line(record)), "")


def test_each_field_has_a_row_with_its_type_in_the_order_of_the_line() -> None:
    table = {cells[0].strip("`"): cells[1] for cells in rows(section(PAGE, "Fields"))}
    del table["field"]

    assert list(described(RECORD).items()) == list(table.items())


def test_each_outcome_has_a_row() -> None:
    assert set(AuditOutcome) == set(first_words(section(PAGE, "What is recorded"))) - {"outcome"}
