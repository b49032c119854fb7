"""The JSON in a record or an entry: one model for each kind of value, its types and ranges checked."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from broker.domain.ports.store import Record
from broker.domain.secret import Secret

LARGEST_FENCE = 2**53 - 1
"""Redis compares fencing numbers as doubles."""
LATEST_SECONDS = 2.5e11
"""A moment in the year 9892, so that a day can still be added to it."""


class RecordDamaged(Exception):
    """It is not what a broker writes; the message names the record and the field, never a value."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} is damaged: {problem}")


class Payload(BaseModel):
    """The fields in the order in which they are written; those of a newer broker are ignored."""

    model_config = ConfigDict(
        strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    def to_bytes(self) -> bytes:
        """Return the JSON."""
        return json.dumps(self.model_dump()).encode()

    @classmethod
    def of(cls, name: str, opened: bytes) -> Self:
        """Read the opened payload of that name. Raises `RecordDamaged`."""
        try:
            return cls.model_validate_json(opened)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(map(str, problem["loc"]))
            raise RecordDamaged(name, f"{field}: {problem['type']}") from None

    @classmethod
    def fields_of(cls, name: str, opened: bytes) -> dict[str, Any]:
        """Return the fields by name, for a value that has the same ones. Raises `RecordDamaged`."""
        return dict(cls.of(name, opened))


def _moment(given: object) -> datetime:
    if isinstance(given, datetime):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= LATEST_SECONDS:
        raise ValueError("is not a moment")
    return datetime.fromtimestamp(given, UTC)


def _secret(given: object) -> Secret:
    if isinstance(given, str) and given:
        return Secret(given)
    if isinstance(given, Secret):
        return given
    raise ValueError("is not a secret")


Moment = Annotated[datetime, PlainValidator(_moment), PlainSerializer(lambda moment: moment.timestamp())]
"""Seconds since 1970."""
SecretText = Annotated[Secret, PlainValidator(_secret), PlainSerializer(lambda secret: secret.reveal())]
"""The secret itself, protected by the seal."""
Fence = Annotated[int, Field(ge=0, le=LARGEST_FENCE)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class RecordPayload(Payload):
    """The sealed part of a record, with the record's own number: whoever writes the store cannot raise it."""

    fence: Fence | None = None
    """Not associated data: replicas of an older broker ignore it, and do not write it."""

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """Read the opened record. Raises `RecordDamaged`, also for one that was moved to another number."""
        read = cls.of(record.name, record.payload)
        if read.fence not in (None, record.fence):
            raise RecordDamaged(record.name, f"it was written as number {read.fence}, not {record.fence}")
        return read

    @classmethod
    def fields_of_record(cls, record: Record) -> dict[str, Any]:
        """Return the fields by name, without the number. Raises `RecordDamaged`."""
        fields = dict(cls.of_record(record))
        del fields["fence"]
        return fields


class AppsPayload(RecordPayload):
    """What belongs to the app of a name: another app may get the name."""

    identity: Annotated[str, AfterValidator(sys.intern)] = ""
    """The app's (`App.identity`), one string for all that it has; older brokers do not write it."""


class _Identity(Payload):
    identity: str = ""


def identity_in(record: Record) -> str:
    """Return the identity in an opened record. Raises `RecordDamaged`."""
    return _Identity.of(record.name, record.payload).identity
