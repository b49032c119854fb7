"""The control API under /_simulator: drives the world from another process."""

from aiohttp import web

from broker.simulator.world import World


def control_routes(world: World) -> list[web.RouteDef]:
    """List the routes of the control API."""
    return []
