"""The jsapi_tickets of the token's corp and app: a child's with a child's token."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.tickets import TicketKind
from broker.simulator.world.tokens import AppToken


@endpoint("GET", "/cgi-bin/get_jsapi_ticket", token=AppToken)
def get_jsapi_ticket(world: World, call: Call) -> Answer:
    """Grant the corp's ticket; the call has no type parameter."""
    if "type" in call.query:
        raise Refusal(91040)
    return _granted(world, call, TicketKind.CORP)


@endpoint("GET", "/cgi-bin/ticket/get", token=AppToken)
def ticket_get(world: World, call: Call) -> Answer:
    """Grant the app's ticket."""
    if call.query.get("type") != "agent_config":
        raise Refusal(91040)
    return _granted(world, call, TicketKind.AGENT)


def _granted(world: World, call: Call, kind: TicketKind) -> Answer:
    app = call.owner.app
    world.tickets.spend(kind, app, world.now())
    grant = world.tickets.grant(kind, app, call.path, world.now())
    return {"ticket": grant.token.value, "expires_in": grant.expires_in}
