"""Messages of the broker as JSON for programs, and as words for people."""

from datetime import UTC
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from broker.server.diagnosis.words import ENGLISH

ago, moment, span, span_since = ENGLISH.ago, ENGLISH.moment, ENGLISH.span, ENGLISH.span_since


def plain(message: Message) -> dict[str, object]:
    """Return the message as JSON has it: numbers as numbers, moments as text, spans in seconds."""
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def word_of(kind: EnumDescriptor, number: int) -> str:
    """Return the word of an enum's value: "fresh" for CREDENTIAL_STATE_FRESH; empty for UNSPECIFIED."""
    values, name = [value.name for value in kind.values], kind.values_by_number[number].name
    prefix = values[0].removesuffix("UNSPECIFIED")
    word = name.removeprefix(prefix).lower()
    return "" if word == "unspecified" else word


def _value(message: Message, field: Any) -> object:  # noqa: ANN401 - protobuf has two descriptors
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_plain_value(field, each) for each in value]
    if field.message_type is not None and not message.HasField(field.name):
        return None
    return _plain_value(field, value)


def _plain_value(field: Any, value: object) -> object:  # noqa: ANN401 - as above
    if isinstance(value, Timestamp):
        return value.ToDatetime(UTC).isoformat(timespec="seconds")
    if isinstance(value, Duration):
        return value.ToTimedelta().total_seconds()
    if isinstance(value, Message):
        return plain(value)
    if field.enum_type is not None and isinstance(value, int):
        return word_of(field.enum_type, value)
    return value
