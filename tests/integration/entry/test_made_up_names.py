"""Names that callers make up: nothing that the broker holds, in memory or in its store, grows with them."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from wecom_broker import Broker

from broker.adapters.system import WORDS_DRAWN
from broker.domain.access import Action
from broker.server.grpc.warm.methods import MOST_PAGES
from broker.simulator.demo import PARENT
from broker.usecases.audit.repeats import MAX_DISTINCT
from broker.usecases.limits.circuit_breaker import MOST_BREAKERS
from broker.usecases.suites import installations
from tests.integration.conftest import Figures
from tests.integration.suites.three_kinds import CRM, MARKET, broker_of_three_kinds, installed
from tests.kit.actions import rpcs
from tests.kit.census import census, growth
from tests.kit.processes.fleet import until

TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
NAMES = int(os.environ.get("NAMES", "9000"))
AT_ONCE = 64
RPCS = rpcs()
MOST_GROWN = NAMES // 225
"""By how much anything may grow: each rpc gets more made-up names than that in each of its fields."""
MOST_OF_CALLERS = MOST_GROWN // 2
"""How many codes of callers may be outstanding here, of each of two suites."""
SUMS = 3 * 2 * MAX_DISTINCT
"""What the audit trail sums at most for two callers and all strangers, some of it without a target."""
BOUNDED = {
    "broker.usecases.limits.circuit_breaker.": 2 * MOST_BREAKERS,
    "broker.server.grpc.warm.": 2 * MOST_PAGES,
    "broker.protocol.js_sdk.Signer": 2 * MOST_PAGES,
    # Of this broker, and of those of earlier tests that are not collected yet.
    "broker.adapters.system.SystemRandomness._words": 4 * WORDS_DRAWN,
    "broker.domain.audit.": SUMS,
    "broker.usecases.audit.repeats.": SUMS,
}
"""What may grow further, to a bound of its own, by the beginning of its name."""
LEFT_AFTER_SECONDS = 0.25
"""When a caller leaves that was not answered, as one who floods does."""
KNOWN = {
    "app": CRM,
    "apps": CRM,
    "corp_id": PARENT.corpid,
    "parent_corp_id": PARENT.corpid,
    "url": "https://crm.example.com/page",
    "redirect_uri": "https://crm.example.com/back",
    "path": "/cgi-bin/user/get",
    "group": "crm-svc",
    "type": "file",
}
"""What leads beyond the checks of the other fields."""
LEFT_OUT = frozenset({"page_token", "replay_from_event_id"})
FORMS: dict[str, Callable[[int], str]] = {
    "session_id": lambda number: hashlib.md5(b"%d" % number).hexdigest(),
    "path": lambda number: f"/cgi-bin/madeup/x{number}",
    "event_ids": lambda number: f"{CRM}/{number}-0",
    "replay_from_event_id": lambda number: f"{CRM}/{number}-0",
    "url": lambda number: f"https://crm.example.com/{number}",
    "redirect_uri": lambda number: f"https://crm.example.com/{number}",
}
"""Made-up names that look like true ones."""
TOKEN, STRANGERS = "t" * 43, "s" * 43
CALLERS = [
    {
        "name": "orders",
        "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "allow": [{"apps": ["*"], "corps": ["*"], "actions": [*map(str, Action)], "paths": ["*"]}],
        "limits": {"calls_per_minute": 1_000_000_000},
    },
    {
        "name": "nobody",
        "token_sha256": hashlib.sha256(b"n" * 43).hexdigest(),
        "allow": [],
        "limits": {"calls_per_minute": 1_000_000_000},
    },
]
WHO = (TOKEN, TOKEN, TOKEN, "n" * 43, STRANGERS)
"""Mostly the caller that may do everything; one without a right; one who is nobody."""


@dataclass(frozen=True)
class Place:
    """A field of an rpc's request, in which callers can write names."""

    rpc: str
    field: tuple[str, ...]

    def request(self, number: int) -> Message:
        """Return a request with a made-up name in this field, and known ones in the others."""
        request = GetMessageClass(RPCS[self.rpc].input_type)()
        _fill(request, {**KNOWN, "app": MARKET} if ".Suite" in self.rpc else KNOWN)
        holder: Any = request
        for name in self.field[:-1]:
            holder = getattr(holder, name)
        _put(holder, holder.DESCRIPTOR.fields_by_name[self.field[-1]], _made_up(self.field[-1], number))
        return request


def places() -> list[Place]:
    """Return them all: a new field is among them by itself."""
    return [Place(rpc, field) for rpc, method in RPCS.items() for field in _texts(method.input_type)]


def _texts(message: Any) -> Iterator[tuple[str, ...]]:
    for field in message.fields:
        if field.message_type is None:
            if field.type in TEXTS:
                yield (field.name,)
        elif field.message_type.file.package.startswith("wecom_broker") and not field.is_repeated:
            yield from ((field.name, *inner) for inner in _texts(field.message_type))


def _made_up(field: str, number: int) -> str:
    return FORMS.get(field, lambda number: f"ww{number:014d}")(number)


def _fill(message: Message, known: dict[str, str]) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None:
            if field.message_type.file.package.startswith("wecom_broker") and not field.is_repeated:
                _fill(getattr(message, field.name), known)
        elif field.name in known:
            _put(message, field, known[field.name])
        elif field.type in TEXTS and field.name not in LEFT_OUT:
            _put(message, field, "made-up")
        elif field.name in {"generation", "errcode", "kind"}:
            setattr(message, field.name, {"errcode": 40014}.get(field.name, 1))


def _put(message: Message, field: FieldDescriptor, text: str) -> None:
    value: Any = text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if field.is_repeated:
        del getattr(message, field.name)[:]
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


async def _send(channel: grpc.aio.Channel, rpc: str, request: Message, token: str) -> None:
    """Send it, and leave if no answer comes."""
    method = RPCS[rpc]
    given: Any = {"metadata": [("authorization", f"Bearer {token}")], "timeout": LEFT_AFTER_SECONDS}
    written = request.SerializeToString()
    # A server that ends a call at its deadline cancels it, and may be the first to do so.
    with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        if method.client_streaming:
            await channel.stream_unary(rpc)(iter([written]), **given)
        elif method.server_streaming:
            call = channel.unary_stream(rpc)(written, **given)
            await call.read()
            call.cancel()
        else:
            await channel.unary_unary(rpc)(written, **given)


@pytest.mark.slow
async def test_nothing_grows_with_the_names_that_callers_make_up(
    tmp_path: Path, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installations, "MOST_OF_CALLERS", MOST_OF_CALLERS)
    everywhere = places()

    async def send(numbers: range) -> None:
        turns = zip(numbers, cycle(everywhere), cycle(WHO), strict=False)

        async def work(channel: grpc.aio.Channel) -> None:
            for number, place, token in turns:
                await _send(channel, place.rpc, place.request(number), token)

        async with grpc.aio.insecure_channel(kinds.address) as channel:
            await asyncio.gather(*(work(channel) for _ in range(AT_ONCE)))

    async with broker_of_three_kinds(tmp_path, callers=CALLERS) as (kinds, _):
        async with Broker(kinds.address, token=TOKEN) as broker:
            await installed(kinds, broker)
            await broker.access_token(CRM)
        await send(range(NAMES // 10))
        before = census(tmp_path / "broker.db")
        await send(range(NAMES // 10, NAMES))
        # Refusals that were kept back end late on a busy machine.
        await until(lambda: len(asyncio.all_tasks()) <= before["tasks"] + MOST_GROWN)
        after = census(tmp_path / "broker.db")
    grown = growth(before, after, MOST_GROWN, BOUNDED)
    figures(names=NAMES, places=len(everywhere), grown=grown, collections=len(after))
    assert {} == grown
