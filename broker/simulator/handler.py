"""Requests to WeCom: each is logged, gets its faults, and is answered."""

import json
from collections.abc import Mapping

from aiohttp import web

from broker.simulator import wire
from broker.simulator.checks import Incoming, Outcome, answer, refuse
from broker.simulator.endpoints import ENDPOINTS
from broker.simulator.endpoints.registry import Endpoint
from broker.simulator.uploads import read_upload
from broker.simulator.world import World
from broker.simulator.world.call_log import CallRecord, redacted
from broker.simulator.world.faults import Errcode, Fault


class WecomHandler:
    """Answer requests to WeCom over a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or make it fail as the fault script says."""
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is None:
            return web.Response(status=404, text="404 page not found")
        query = dict(request.query)
        record = CallRecord(self._world.now(), request.method, request.path, redacted(query))
        with self._world.log.record(record):
            self._world.log.count_codes(query)
            incoming = await _read(request, query, endpoint.form_bytes)
            if size := request.content.total_bytes:
                fields = _fields(incoming.body)
                self._world.log.count_codes(fields or {})
                record.body = f"{size} bytes, no JSON object" if fields is None else redacted(fields)
            return await self._respond(request, endpoint, incoming, record)

    async def _respond(
        self, request: web.Request, endpoint: Endpoint, incoming: Incoming, record: CallRecord
    ) -> web.Response:
        trouble = self._world.faults.draw(endpoint.path)
        record.fault = trouble.name
        if trouble.delay:
            await self._world.sleep(trouble.delay)
        outcome = self._outcome(endpoint, incoming, trouble.end)
        reply = wire.reply(outcome.payload)
        if trouble.delay_back:
            await self._world.sleep(trouble.delay_back)
        record.corpid, record.agentid = outcome.corpid, outcome.agentid
        response = await wire.send(request, reply, trouble.end)
        record.status = None if wire.closed(request) else response.status
        record.errcode = outcome.errcode if response is reply else None
        return response

    def _outcome(self, endpoint: Endpoint, incoming: Incoming, fault: Fault | None) -> Outcome:
        if isinstance(fault, Errcode):
            return Outcome(fault.errcode, refuse(self._world, fault.errcode, fault.errmsg, incoming.ip))
        if fault is not None and not fault.takes_effect:
            return Outcome(-1, {})
        return answer(self._world, endpoint, incoming)


async def _read(request: web.Request, query: Mapping[str, str], form_bytes: int) -> Incoming:
    ip = request.remote or ""
    if form_bytes:
        return Incoming(request.method, query, b"", ip, await read_upload(request, "media", form_bytes))
    return Incoming(request.method, query, await request.read(), ip)


def _fields(body: bytes) -> Mapping[str, object] | None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
