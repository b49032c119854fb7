"""Read and clear the log of calls."""

from dataclasses import asdict
from itertools import islice

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.call_log import Traffic

_RECENT = 100


@control("GET", "calls")
def read_calls(world: World, form: Form) -> Answer:
    """Return the counts by endpoint and by login code, and the latest calls, newest first."""
    form.finish()
    return {
        "total": world.log.total(),
        "endpoints": {path: _counts(world.log.traffic(path)) for path in world.log.paths()},
        "codes": dict(world.log.codes),
        "recent": [asdict(record) for record in islice(reversed(world.log.records), _RECENT)],
    }


@control("DELETE", "calls")
def clear_calls(world: World, form: Form) -> Answer:
    """Reset the counts."""
    form.finish()
    world.log.clear()
    return {}


def _counts(traffic: Traffic) -> Answer:
    return {
        "calls": traffic.calls,
        "in_flight": traffic.in_flight,
        "max_in_flight": traffic.max_in_flight,
        "errcodes": {str(errcode): count for errcode, count in sorted(traffic.errcodes.items())},
    }
