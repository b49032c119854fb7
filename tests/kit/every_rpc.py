"""Every RPC of every service, with a secret of its own in each text that a caller can send."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import grpc.aio
import wecom_broker.v1
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

NAMES = frozenset(
    {
        *("app", "apps", "corp_id", "parent_corp_id", "user_id", "group", "path", "type", "content_type"),
        *("event_types", "event_ids", "page_token", "replay_from_event_id", "state"),
    }
)
"""Fields that name something: what is named may be shown. A `state` comes back as `install_state`."""
KNOWN = {"path": "/cgi-bin/user/get", "type": "file", "group": "hygiene"}
ADDRESSES = frozenset({"url", "redirect_uri"})
ANSWERED_WITHIN_SECONDS = 3.0

Plant = Callable[[str], str]
"""Return a new secret for the field that is named."""
Metadata = Sequence[tuple[str, str]]


def methods() -> list[MethodDescriptor]:
    """Return all methods."""
    modules = [
        importlib.import_module(f"wecom_broker.v1.{found.name}")
        for found in pkgutil.iter_modules(wecom_broker.v1.__path__)
        if found.name.endswith("_pb2")
    ]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return [method for service in services for method in service.methods]


async def call_every_rpc(
    channel: grpc.aio.Channel,
    app: str,
    plant: Plant,
    metadata: Metadata,
    *,
    patience: float = ANSWERED_WITHIN_SECONDS,
) -> AsyncIterator[str]:
    """Call each method once about the app; yield what each caller is told, errors with all their details.

    A stream may be silent for the seconds of `patience`.
    """
    for method in methods():
        request = GetMessageClass(method.input_type)()
        fill(request, {**KNOWN, "app": app}, plant)
        try:
            yield f"{method.full_name} {await _answered(channel, method, request, metadata, patience)}"
        except grpc.aio.AioRpcError as error:
            yield f"{method.full_name} {told(error)}"


def fill(message: Message, known: Mapping[str, str], plant: Plant) -> None:
    """Put a secret into each text, and what is known into those that are names."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry:
                getattr(message, field.name)["planted"] = plant(field.full_name)
            elif field.message_type.file.package.startswith("wecom_broker") and not field.is_repeated:
                fill(getattr(message, field.name), known, plant)
        elif field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
            _put(message, field, known, plant)


def _put(message: Message, field: FieldDescriptor, known: Mapping[str, str], plant: Plant) -> None:
    if field.name in NAMES:
        text = known.get(field.name, "")
    elif field.name in ADDRESSES:
        text = f"https://crm.example.com/?planted={plant(field.full_name)}"
    else:
        text = plant(field.full_name)
    value = text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if not field.is_repeated:
        setattr(message, field.name, value)
    elif text:
        getattr(message, field.name).append(value)


async def _answered(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    request: Message,
    metadata: Metadata,
    patience: float,
) -> str:
    path = f"/{method.containing_service.full_name}/{method.name}"
    options: Any = {
        "request_serializer": type(request).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    given: Any = {"metadata": metadata, "timeout": 20}
    if method.client_streaming:
        return _kind(await channel.stream_unary(path, **options)(iter([request]), **given))
    if not method.server_streaming:
        return _kind(await channel.unary_unary(path, **options)(request, **given))
    stream = channel.unary_stream(path, **options)(request, **given)
    with suppress(TimeoutError):
        return _kind(await asyncio.wait_for(anext(aiter(stream)), patience))
    stream.cancel()
    return "nothing yet"


def _kind(answer: object) -> str:
    # What is answered belongs to the caller, who may have sent it himself.
    return type(answer).__name__


def told(error: grpc.aio.AioRpcError) -> str:
    """Return all that a caller gets of an error, both kinds of metadata included."""
    metadata = [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]
    return f"{error.code()} {error.details()} {error.debug_error_string()} {metadata}"


async def reflected(channel: grpc.aio.Channel, metadata: Metadata) -> bytes:
    """Return all that reflection says of the services."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[no-untyped-call]
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
    asked += [
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=method.containing_service.full_name)
        for method in methods()
    ]
    return b"".join(
        [
            answer.SerializeToString()
            async for answer in stub.ServerReflectionInfo(iter(asked), metadata=metadata, timeout=20)
        ]
    )
