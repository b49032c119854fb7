"""Callers switch on reasons: each error has one, and its status is the one that is promised."""

import inspect

import pytest

from broker.domain import errors
from broker.domain.errors import BrokerError
from broker.server.grpc.errors import STATUSES, Unexpected, code_of

PROMISED = {
    "UNKNOWN_APP": "NOT_FOUND",
    "APP_NOT_SHARED": "NOT_FOUND",
    "CORP_NOT_AUTHORIZED": "NOT_FOUND",
    "SESSION_NOT_FOUND": "NOT_FOUND",
    "INVALID_REQUEST": "INVALID_ARGUMENT",
    "AMBIGUOUS_TARGET": "INVALID_ARGUMENT",
    "CODE_REJECTED": "INVALID_ARGUMENT",
    "DATA_REJECTED": "INVALID_ARGUMENT",
    "UNAUTHENTICATED": "UNAUTHENTICATED",
    "CALLER_NOT_ALLOWED": "PERMISSION_DENIED",
    "SECRET_REJECTED": "FAILED_PRECONDITION",
    "IP_NOT_TRUSTED": "FAILED_PRECONDITION",
    "APP_DISABLED": "FAILED_PRECONDITION",
    "API_NOT_AUTHORIZED": "FAILED_PRECONDITION",
    "REAUTHORIZATION_REQUIRED": "FAILED_PRECONDITION",
    "SUITE_TICKET_MISSING": "FAILED_PRECONDITION",
    "ANSWER_TOO_LARGE": "RESOURCE_EXHAUSTED",
    "RATE_LIMITED": "RESOURCE_EXHAUSTED",
    "QUOTA_RESERVED": "RESOURCE_EXHAUSTED",
    "CALLER_LIMITED": "RESOURCE_EXHAUSTED",
    "WECOM_UNAVAILABLE": "UNAVAILABLE",
    "STORE_UNAVAILABLE": "UNAVAILABLE",
    "WECOM_PROTOCOL": "INTERNAL",
    "INTERNAL": "INTERNAL",
}
"""The table of the API; the last is for the broker's own mistakes."""

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BrokerError)]
INTERNAL = {errors.TokenRejected}
"""What no caller sees: the guard would report it as a mistake of the broker's."""
LEAVES = [kind for kind in CLASSES if not kind.__subclasses__() and kind not in INTERNAL]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_that_is_raised_has_a_reason_and_a_status(kind: type[BrokerError]) -> None:
    assert PROMISED[kind.reason] == code_of(kind.__new__(kind)).name


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if "reason" in vars(kind) and kind not in INTERNAL]
)
def test_every_error_with_a_reason_of_its_own_has_a_row(kind: type[BrokerError]) -> None:
    assert kind in STATUSES


def test_the_rows_are_the_promised_ones() -> None:
    rows = {kind.reason: code.name for kind, code in STATUSES.items()}

    assert rows == {reason: status for reason, status in PROMISED.items() if reason in rows}


def test_no_two_rows_share_a_reason() -> None:
    assert len(STATUSES) == len({kind.reason for kind in STATUSES})


def test_only_the_broker_s_own_mistakes_have_a_row_outside_the_tree() -> None:
    assert {Unexpected} == set(STATUSES) - set(CLASSES)
