"""Reads `google.rpc.Status` from a call's trailer.

The messages are described here, in a separate descriptor pool: the client depends on grpcio and protobuf
only, and cannot conflict with any version of googleapis-common-protos in the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from google.protobuf.descriptor_pb2 import DescriptorProto

TRAILER = "grpc-status-details-bin"
DOMAIN = "wecom-broker"

_STRING = FieldDescriptorProto.TYPE_STRING
_MESSAGE = FieldDescriptorProto.TYPE_MESSAGE


class StatusDetails(NamedTuple):
    """What the broker attaches to a failed call."""

    reason: str = ""
    metadata: dict[str, str] = {}  # noqa: RUF012  a NamedTuple's default; nobody writes to it
    retry_after: timedelta | None = None


def read(trailers: Iterable[tuple[str, str | bytes]]) -> StatusDetails:
    """Return the details in the trailers; empty if they are missing, garbled or of another domain."""
    raw = next((value for name, value in trailers if name == TRAILER), b"")
    try:
        return _read(raw if isinstance(raw, bytes) else raw.encode("latin-1"))
    except DecodeError:
        return StatusDetails()


def _read(raw: bytes) -> StatusDetails:
    details = StatusDetails()
    for packed in _STATUS.FromString(raw).details:
        kind = packed.type_url.rpartition("/")[2]
        if kind == "google.rpc.ErrorInfo":
            info = _ERROR_INFO.FromString(packed.value)
            if info.domain == DOMAIN:
                details = details._replace(reason=info.reason, metadata=dict(info.metadata))
        elif kind == "google.rpc.RetryInfo":
            retry = _RETRY_INFO.FromString(packed.value)
            details = details._replace(retry_after=retry.retry_delay.ToTimedelta())
    return details


def _field(
    message: DescriptorProto,
    name: str,
    number: int,
    kind: FieldDescriptorProto.Type.ValueType,
    type_name: str = "",
    *,
    repeated: bool = False,
) -> None:
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    message.field.add(name=name, number=number, type=kind, type_name=type_name or None, label=label)


def _described() -> FileDescriptorProto:
    file = FileDescriptorProto(
        name="wecom_broker/google_rpc.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name],
    )
    status = file.message_type.add(name="Status")
    _field(status, "code", 1, FieldDescriptorProto.TYPE_INT32)
    _field(status, "message", 2, _STRING)
    _field(status, "details", 3, _MESSAGE, ".google.protobuf.Any", repeated=True)
    info = file.message_type.add(name="ErrorInfo")
    _field(info, "reason", 1, _STRING)
    _field(info, "domain", 2, _STRING)
    _field(info, "metadata", 3, _MESSAGE, ".google.rpc.ErrorInfo.MetadataEntry", repeated=True)
    entry = info.nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    _field(entry, "key", 1, _STRING)
    _field(entry, "value", 2, _STRING)
    retry = file.message_type.add(name="RetryInfo")
    _field(retry, "retry_delay", 1, _MESSAGE, ".google.protobuf.Duration")
    return file


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_described().SerializeToString())
    return pool


def _message(pool: DescriptorPool, name: str) -> Any:  # noqa: ANN401  the class is made from the description above
    return GetMessageClass(pool.FindMessageTypeByName(name))


_POOL = _pool()
_STATUS = _message(_POOL, "google.rpc.Status")
_ERROR_INFO = _message(_POOL, "google.rpc.ErrorInfo")
_RETRY_INFO = _message(_POOL, "google.rpc.RetryInfo")
