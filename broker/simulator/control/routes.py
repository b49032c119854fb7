"""The routes of the control API: each is one small function, registered here by its decorator."""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from broker.simulator import wire
from broker.simulator.answers import Answer
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.world import World

Action = Callable[[World, Form], Answer | Awaitable[Answer]]

PREFIX = "/_simulator"

ACTIONS: dict[tuple[str, str], Action] = {}


def control(method: str, name: str) -> Callable[[Action], Action]:
    """Register the function under /_simulator/name.

    The function must read its whole form, and finish it, before it changes the world.
    """

    def register(action: Action) -> Action:
        ACTIONS[method, name] = action
        return action

    return register


def control_routes(world: World) -> list[web.RouteDef]:
    """List the routes of the control API over a world."""
    return [
        web.route(method, f"{PREFIX}/{name}", _handler(world, action))
        for (method, name), action in ACTIONS.items()
    ]


def _handler(world: World, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            answer = action(world, await _form(request))
            return wire.reply(await answer if isinstance(answer, Awaitable) else answer)
        except ControlMistake as mistake:
            return web.json_response({"error": str(mistake), "field": mistake.field}, status=400)

    return handle


async def _form(request: web.Request) -> Form:
    body = await request.read()
    try:
        fields = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ControlMistake("body", "should be a JSON object")
    return Form(fields)
