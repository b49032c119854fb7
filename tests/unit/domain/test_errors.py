"""The tree of errors is the one that is drawn, and what errors tell is complete and has nothing empty."""

import inspect
import re
from datetime import timedelta

import pytest

from broker.domain import errors
from broker.domain.errors import (
    KINDS,
    AmbiguousTarget,
    BrokerError,
    EnvelopeRejected,
    FieldMistake,
    InvalidRequest,
    RateLimited,
    RetryLater,
    TokenRejected,
    UnknownApp,
    WecomUnavailable,
)

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BrokerError)]
LEAVES = [kind for kind in CLASSES if not kind.__subclasses__() and kind.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Return the parent of each class in the drawing; the root has none."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", line)
        if match:
            depth = len(match.group(1)) // 4
            above[depth] = match.group(2)
            parents[match.group(2)] = above[depth - 1] if depth else ""
    return parents


def test_the_drawing_is_the_tree() -> None:
    built = {kind.__name__: kind.__base__.__name__ for kind in CLASSES if kind.__base__}

    assert {**built, "BrokerError": ""} == drawn()


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_has_a_reason(kind: type[BrokerError]) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", kind.reason)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_it_is_for(kind: type[BrokerError]) -> None:
    assert kind.__doc__


@pytest.mark.parametrize("empty", [None, ""])
def test_metadata_has_no_empty_values(empty: object) -> None:
    assert {"app": "crm"} == UnknownApp("no such app", app="crm", corp_id=empty).metadata


def test_metadata_keeps_a_zero() -> None:
    assert {"errcode": "0", "valid": "False"} == UnknownApp("", errcode=0, valid=False).metadata


def test_metadata_is_text() -> None:
    error = RateLimited("closed", timedelta(seconds=5), errcode=45009)

    assert {"errcode": "45009"} == error.metadata
    assert timedelta(seconds=5) == error.retry_after


def test_an_error_reads_as_its_message() -> None:
    error = UnknownApp("no app of that name is configured", app="crm")

    assert "no app of that name is configured" == str(error) == error.message


@pytest.mark.parametrize("kind", [InvalidRequest, AmbiguousTarget])
def test_a_caller_s_mistake_names_the_field(kind: type[InvalidRequest]) -> None:
    error = kind("target.corp_id", "is not a corp id")

    assert {"field": "target.corp_id"} == error.metadata
    assert "target.corp_id: is not a corp id" == error.message


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, RetryLater)])
def test_what_passes_by_itself_says_when(kind: type[RetryLater]) -> None:
    assert timedelta(seconds=3) == kind("later", timedelta(seconds=3)).retry_after


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if not issubclass(kind, RetryLater)])
def test_waiting_helps_with_nothing_else(kind: type[BrokerError]) -> None:
    named = (FieldMistake, InvalidRequest, AmbiguousTarget, EnvelopeRejected)
    arguments = ("field", "problem") if kind in named else ("message",)

    assert None is kind(*arguments).retry_after


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if "reason" in vars(kind)])
def test_an_error_is_restored_from_its_reason_message_and_metadata(kind: type[BrokerError]) -> None:
    given = ("field", "problem") if issubclass(kind, FieldMistake) else ("message",)
    error = kind(*given, errcode=40001)
    again = KINDS[error.reason].restored(error.message, error.metadata)

    assert (kind, error.message, error.metadata) == (type(again), again.message, again.metadata)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if "reason" in vars(kind)])
def test_whatever_was_kept_of_an_error_it_is_restored(kind: type[BrokerError]) -> None:
    strange = dict.fromkeys(("message", "field", "problem", "retry_after", "self", "cls", ""), "x")

    assert kind.restored("no field", strange).message.startswith("no field")


def test_a_dead_token_is_no_outage() -> None:
    assert not issubclass(TokenRejected, WecomUnavailable)


def test_nobody_remembers_a_new_error() -> None:
    assert not UnknownApp("").remembered
