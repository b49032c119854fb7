"""WeCom's own addresses."""

from broker.simulator.answers import Answer
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.tokens import AppToken


@endpoint("GET", "/cgi-bin/getcallbackip", token=AppToken)
def getcallbackip(world: World, _call: Call) -> Answer:
    """List the addresses that callbacks come from; entries may be patterns."""
    return {"ip_list": world.settings.callback_ips}


@endpoint("GET", "/cgi-bin/get_api_domain_ip", token=AppToken)
def get_api_domain_ip(_world: World, _call: Call) -> Answer:
    """List the addresses of the API."""
    return {"ip_list": ["127.0.0.1", "::1"]}
