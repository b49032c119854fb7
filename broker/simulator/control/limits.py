"""Set quotas and lift bans."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.limits import Quota


@control("POST", "quotas")
def set_quota(world: World, form: Form) -> Answer:
    """Limit the calls of one corp to an endpoint in a window."""
    endpoint = form.endpoint()
    quota = Quota(form.integer("limit"), form.number("seconds", 60.0))
    form.finish()
    world.quotas.set(endpoint, quota)
    return {}


@control("DELETE", "quotas")
def clear_quotas(world: World, form: Form) -> Answer:
    """Lift every quota, or that of one endpoint; reset the counts of ticket fetches."""
    endpoint = form.endpoint() if "endpoint" in form else None
    form.finish()
    world.quotas.clear(endpoint)
    world.tickets.counters.clear()
    return {}


@control("DELETE", "bans")
def clear_bans(world: World, form: Form) -> Answer:
    """Lift the bans of all addresses that gave wrong secrets."""
    form.finish()
    world.bans.clear()
    return {}
