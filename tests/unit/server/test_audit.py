"""Each credential handed out is written down once for each caller and generation, and never its value."""

import contextvars
from dataclasses import replace
from typing import Any

import pytest

from broker.domain.access import Action, Caller
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.server.grpc import audit
from broker.server.grpc.access import current_caller
from broker.server.grpc.audit import Audit
from tests.unit.domain.credentials import credential

ORDERS, REPORTS = Caller("orders"), Caller("reports")


class Records:
    def __init__(self) -> None:
        self.written: list[tuple[object, ...]] = []

    def handed_out(self, *record: object) -> None:
        self.written.append(record)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def write(records: Records) -> Audit:
    telemetry: Any = records
    return Audit(telemetry)


def hand_out(write: Audit, caller: Caller, found: Credential, action: Action = Action.TOKEN_GET) -> None:
    def call() -> None:
        current_caller.set(caller)
        write(action, found)

    contextvars.copy_context().run(call)


def test_a_record_says_who_got_what_with_a_fingerprint_for_the_value(write: Audit, records: Records) -> None:
    found = credential()
    hand_out(write, ORDERS, found)

    assert [("orders", Action.TOKEN_GET, found.key.name, 7, found.value.fingerprint())] == records.written
    assert found.value.reveal() not in str(records.written)


def test_the_same_caller_and_generation_add_nothing(write: Audit, records: Records) -> None:
    for _ in range(3):
        hand_out(write, ORDERS, credential())

    assert 1 == len(records.written)


def test_another_caller_generation_or_credential_is_another_record(write: Audit, records: Records) -> None:
    found = credential()
    hand_out(write, ORDERS, found)
    hand_out(write, REPORTS, found)
    hand_out(write, ORDERS, replace(found, generation=8))
    hand_out(write, ORDERS, credential(key=CredentialKey("crm", "ww1child", 1000010, ShareKind.SUPPLY_CHAIN)))

    assert 4 == len(records.written)


def test_what_it_remembers_is_bounded_and_nothing_is_left_out(
    write: Audit, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "REMEMBERED", 3)
    for generation in range(1, 11):
        hand_out(write, ORDERS, replace(credential(), generation=generation))

    assert list(range(1, 11)) == [record[3] for record in records.written]
    assert len(write._recorded) <= 3
