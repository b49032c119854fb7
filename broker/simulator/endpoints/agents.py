"""What an app may read about itself; a cheap check whether a token is alive."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.tokens import AppToken


@endpoint("GET", "/cgi-bin/agent/get", token=AppToken)
def agent_get(world: World, call: Call) -> Answer:
    """Describe the token's own app."""
    owner = call.owner.app
    if call.agentid_parameter() != owner.agentid:
        raise Refusal(301002)
    app = world.app(*owner)
    return {
        "agentid": app.agentid,
        "name": app.name,
        "square_logo_url": "",
        "description": "",
        "allow_userinfos": {"user": []},
        "allow_partys": {"partyid": [1]},
        "allow_tags": {"tagid": []},
        "close": 0 if app.enabled else 1,
        "redirect_domain": "",
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": "",
    }


@endpoint("GET", "/cgi-bin/agent/list", token=AppToken)
def agent_list(world: World, call: Call) -> Answer:
    """List the one app that the token is for."""
    app = world.app(*call.owner.app)
    return {"agentlist": [{"agentid": app.agentid, "name": app.name, "square_logo_url": ""}]}
