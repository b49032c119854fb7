"""A callback URL that verifies and opens what comes, and answers as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from aiohttp import web

from broker.domain.errors import EnvelopeRejected
from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys, check_signature, open_sealed
from broker.protocol.callbacks.json import is_json, parse_json
from broker.protocol.callbacks.outside import read_envelope
from broker.protocol.callbacks.xml import parse_xml
from broker.simulator import provider_demo
from tests.kit.callbacks.sender import DEMO_KEYS

KEYS_BY_PATH = {
    f"/callback/{name}": CallbackKeys(Secret(keys.token), Secret(keys.encoding_aes_key))
    for name, keys in provider_demo.CALLBACK_KEYS.items()
}
"""Those of the URLs that `suites/demo` sets up."""


@dataclass(frozen=True)
class Got:
    """One envelope whose signature was right."""

    message: bytes
    receive_id: str
    to_user_name: str
    agent_id: str
    query: dict[str, str]
    content_type: str
    body: bytes = b""
    path: str = ""

    def xml(self) -> Element:
        return parse_xml(self.message.decode())

    def text(self, path: str) -> str:
        return (self.xml().findtext(path) or "").strip()


@dataclass
class Receiver:
    """Keep what came; `answers` are given once each, then 200 `success`."""

    keys: CallbackKeys
    keys_by_path: dict[str, CallbackKeys] = field(default_factory=dict)
    """Of single URLs, instead of `keys`."""
    got: list[Got] = field(default_factory=list)
    answers: list[web.Response | asyncio.Event] = field(default_factory=list)
    """An event holds the answer back until it is set."""
    verified_for: list[str] = field(default_factory=list)
    url: str = ""
    runner: web.AppRunner | None = None

    async def handle(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        keys = self.keys_by_path.get("/".join(request.path.split("/")[:3]), self.keys)
        try:
            if request.method == "GET":
                _check(keys, query, query["echostr"])
                opened = open_sealed(keys, query["echostr"])
                self.verified_for.append(opened.receive_id)
                return await self._answer(opened.message.decode())
            body = await request.read()
            envelope = read_envelope(body)
            _check(keys, query, envelope.encrypted)
        except EnvelopeRejected:
            return web.Response(status=403)
        opened = open_sealed(keys, envelope.encrypted)
        text = body.decode()
        parts = parse_json(text) if is_json(text) else parse_xml(text)
        outside = {part.tag.lower(): (part.text or "").strip() for part in parts}
        got = Got(
            opened.message,
            opened.receive_id,
            outside.get("tousername", ""),
            outside.get("agentid", ""),
            query,
            request.content_type,
            body,
            request.path,
        )
        self.got.append(got)
        return await self._answer("success")

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def _answer(self, right: str) -> web.Response:
        if not self.answers:
            return web.Response(text=right)
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return web.Response(text=right)
        return answer


def _check(keys: CallbackKeys, query: dict[str, str], encrypted: str) -> None:
    check_signature(keys, query["msg_signature"], query["timestamp"], query["nonce"], encrypted)


@asynccontextmanager
async def running_receiver(
    kind: type[Receiver] = Receiver, keys: CallbackKeys = DEMO_KEYS
) -> AsyncIterator[Receiver]:
    receiver = kind(keys)
    app = web.Application()
    app.router.add_route("*", "/callback/{app:.*}", receiver.handle)
    receiver.runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await receiver.runner.setup()
    await web.TCPSite(receiver.runner, "127.0.0.1", 0).start()
    host, port = receiver.runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/callback/crm"
    try:
        yield receiver
    finally:
        await receiver.stop()
