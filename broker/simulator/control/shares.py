"""Share apps, and end shares."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.shares import BusinessType


@control("POST", "shares")
def share(world: World, form: Form) -> Answer:
    """Share a parent's app with a child; a repeat may confirm it."""
    parent, child, business_type = _ends(form)
    corp_name = form.name("corp_name", "")
    confirmed = form.flag("confirmed", True)
    form.finish()
    try:
        world.share(parent, child, business_type, corp_name=corp_name, confirmed=confirmed)
    except LookupError as unknown:
        raise ControlMistake("parent_corpid, parent_agentid", str(unknown)) from None
    return {}


@control("DELETE", "shares")
def unshare(world: World, form: Form) -> Answer:
    """End a share."""
    ends = _ends(form)
    form.finish()
    return {"removed": world.unshare(*ends)}


def _ends(form: Form) -> tuple[AppId, AppId, BusinessType]:
    business_type = form.choice("business_type", BusinessType, BusinessType.CORP_GROUP)
    return form.app("parent_"), form.app(), business_type
