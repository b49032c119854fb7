"""Requests that no client would send: random messages of every rpc, and ones whose bytes were changed."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import wecom_broker.v1
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

ODD_NUMBERS = (0, 1, -1, 7, 40014, 2**31 - 1, -(2**31), 2**53, 2**63 - 1, -(2**63), 2**64 - 1)
ODD_TEXTS = (
    "",
    " ",
    "\0",
    "crm\0",
    "../../etc/passwd",
    "/cgi-bin/gettoken",
    "/cgi-bin/user/get",
    "//cgi-bin/./user/get",
    "https://crm.example.com/",
    "%00%2e%2e",
    "企业微信",
    "\u202e\ufeff",
    "a" * 65,
    "x" * 5000,
    "{{7*7}}",
    "<xml><ToUserName>x</ToUserName></xml>",
    '{"encrypt":"x"}',
    "' OR 1=1 --",
    "\r\nX-Injected: 1",
)
WIDTHS = {
    FieldDescriptor.TYPE_INT32: (32, True),
    FieldDescriptor.TYPE_INT64: (64, True),
    FieldDescriptor.TYPE_UINT32: (32, False),
    FieldDescriptor.TYPE_UINT64: (64, False),
}
DEEPEST = 4


@dataclass(frozen=True)
class Rpc:
    """A method, as a call names it."""

    name: str
    request: Descriptor
    sends_many: bool
    answers_many: bool


def rpcs() -> list[Rpc]:
    """Return the rpcs of all services: a new one is among them by itself."""
    return [
        Rpc(
            f"/{method.containing_service.full_name}/{method.name}",
            method.input_type,
            method.client_streaming,
            method.server_streaming,
        )
        for method in _methods()
    ]


def _methods() -> Iterator[MethodDescriptor]:
    for found in pkgutil.iter_modules(wecom_broker.v1.__path__):
        if found.name.endswith("_pb2"):
            module = importlib.import_module(f"wecom_broker.v1.{found.name}")
            for service in module.DESCRIPTOR.services_by_name.values():
                yield from service.methods


class Fuzzer:
    """Make requests; the same seed makes the same ones.

    Fields that are `known` by name mostly get a text with which the broker gets beyond its checks.
    """

    def __init__(self, seed: int, known: Mapping[str, Sequence[str]]) -> None:
        self._random = Random(seed)
        self._known = known

    def request(self, rpc: Rpc) -> bytes:
        """Return the bytes of one message: mostly one of that type, sometimes changed, sometimes anything."""
        if self._random.random() < 0.05:
            return self._random.randbytes(self._random.randrange(200))
        written = self.message(rpc.request).SerializeToString()
        return self._changed(written) if self._random.random() < 0.25 else written

    def message(self, descriptor: Descriptor, depth: int = 0) -> Message:
        """Return a message with some fields set."""
        message = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if (field.name in (*self._known, "target") or self._random.random() < 0.4) and depth < DEEPEST:
                self._fill(message, field, depth)
        return message

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        value: Any = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            for _ in range(self._random.choice((1, 2, 40))):
                value[self._text(field.name)] = self._text(field.name)
        elif field.is_repeated:
            for _ in range(self._random.choice((1, 2, 60))):
                if field.message_type:
                    value.add().CopyFrom(self.message(field.message_type, depth + 1))
                else:
                    value.append(self._scalar(field))
        elif field.message_type:
            value.CopyFrom(self.message(field.message_type, depth + 1))
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: FieldDescriptor) -> Any:
        chance = self._random
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(field.name)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.choice((b"", chance.randbytes(40), self._text(field.name).encode(), b"\xff" * 3000))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        if field.type == FieldDescriptor.TYPE_ENUM:
            return chance.choice((0, 0, 0, 1, 1, 2, 99, -1))
        if field.type in WIDTHS:
            bits, is_signed = WIDTHS[field.type]
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
            return min(
                max(chance.choice((0, 0, 0, 0, 1, 40014, 40014, chance.randrange(2000), *ODD_NUMBERS)), low),
                high,
            )
        return chance.choice((0.0, -1.0, 1e300, float("inf"), float("nan")))

    def _text(self, field: str) -> str:
        chance = self._random.random()
        if chance < 0.95 and field in self._known:
            return self._random.choice(self._known[field])
        if chance < 0.98:
            return self._random.choice(ODD_TEXTS)
        return "".join(chr(self._random.randrange(1, 0xD7FF)) for _ in range(self._random.randrange(80)))

    def _changed(self, written: bytes) -> bytes:
        """Return the bytes with a few flipped, cut, doubled or put in."""
        found, chance = bytearray(written), self._random
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(found) + 1)
            match chance.randrange(4):
                case 0 if place < len(found):
                    found[place] ^= 1 << chance.randrange(8)
                case 1:
                    del found[place : place + chance.randrange(1, 20)]
                case 2:
                    found[place:place] = found[place : place + 30]
                case _:
                    found[place:place] = chance.randbytes(chance.randrange(1, 12))
        return bytes(found)
