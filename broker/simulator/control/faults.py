"""Edit the script of faults."""

from collections.abc import Callable, Mapping

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.fault_script import FaultRule
from broker.simulator.world.faults import (
    Delay,
    Errcode,
    Fault,
    Hang,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Truncated,
)

_KINDS: Mapping[str, Callable[[Form], Fault]] = {
    "delay": lambda form: Delay(form.number("seconds"), form.flag("on_the_way_back", False)),
    "errcode": lambda form: Errcode(form.integer("errcode", least=-1), form.text("errmsg", "")),
    "status": lambda form: HttpStatus(form.integer("status", least=200, most=599)),
    "reset": lambda form: Reset(form.flag("takes_effect", False)),
    "truncated": lambda _form: Truncated(),
    "hang": lambda form: Hang(form.flag("takes_effect", False)),
    "junk": lambda form: Junk(form.choice("junk", JunkKind, "html"), form.flag("takes_effect", False)),
}


@control("POST", "faults")
def add_fault(world: World, form: Form) -> Answer:
    """Append a rule for all calls or a random share of them; without `times` it applies until cleared."""
    endpoint = form.endpoint_or_all()
    fault = form.one_of("kind", _KINDS)(form)
    times = None if form.is_null("times") or "times" not in form else form.integer("times", least=1)
    after = form.integer("after", 0)
    share = None if "share" not in form else form.number("share", most=1)
    seed = form.integer("seed", 0)
    form.finish()
    world.faults.add(endpoint, fault, times=times, after=after, share=share, seed=seed)
    return {}


@control("GET", "faults")
def read_faults(world: World, form: Form) -> Answer:
    """List the rules in force, and how many calls each has seen and struck."""
    form.finish()
    return {"faults": [_shown(rule) for rule in world.faults.rules]}


@control("DELETE", "faults")
def clear_faults(world: World, form: Form) -> Answer:
    """Drop every rule, or those of one endpoint."""
    endpoint = form.endpoint_or_all() if "endpoint" in form else None
    form.finish()
    world.faults.clear(endpoint)
    return {}


def _shown(rule: FaultRule) -> Answer:
    kind = "status" if isinstance(rule.fault, HttpStatus) else type(rule.fault).__name__.lower()
    return {
        "endpoint": rule.path,
        "kind": kind,
        "times": rule.times,
        "after": rule.after,
        "share": rule.share,
        "seed": rule.seed,
        "seen": rule.seen,
        "struck": rule.struck,
    }
