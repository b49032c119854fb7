"""The page of the audit trail says what is written, field by field."""

import json
from typing import Any

from broker.domain.access import Action
from broker.domain.audit import AuditOutcome, AuditRecord
from broker.telemetry.audit.line import write_line
from tests.architecture.pages.documents import first_words, rows, section
from tests.architecture.sources import ROOT
from tests.architecture.test_actions import servicers
from tests.kit.actions import ACTIONS
from tests.unit.telemetry.audit_records import RECORD

PAGE = ROOT / "docs" / "audit.md"
COMMANDS = {"suites export", "suites import"}
"""The commands that act on the store without a broker."""
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


def first_cells(head: str) -> set[str]:
    """Return what the rows of the table with that head begin with."""
    tables = section(PAGE, "What is recorded").split(f"| `{head}` |")[1].split("\n\n")[0]
    return set(first_words(tables))


def test_each_outcome_has_a_row() -> None:
    assert set(AuditOutcome) == first_cells("outcome")


def operations() -> dict[str, Action]:
    """Return the methods whose calls are an operator's, each with its action."""
    return {
        name: handler.requirement.action
        for kind in servicers()
        for name, handler in vars(kind).items()
        if name[0].isupper() and handler.requirement.operates
    }


def test_each_operation_has_a_row() -> None:
    assert set(operations()) == first_cells("operation") - COMMANDS


def test_whatever_an_administrator_changes_is_recorded() -> None:
    changing = {rpc.rpartition("/")[2] for rpc, action in ACTIONS.items() if action is Action.ADMIN_REFRESH}
    of_admin = {rpc.rpartition("/")[2] for rpc in ACTIONS if "AdminService" in rpc}
    reading = {name for name in of_admin if name.startswith(("List", "Get"))}

    assert changing
    assert changing | (of_admin - reading) <= set(operations())
