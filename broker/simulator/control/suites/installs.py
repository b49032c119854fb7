"""Install suites in corps."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World
from broker.simulator.world.console.install import Door, Install
from broker.simulator.world.settings import CustomizedShare
from broker.simulator.world.shares import BusinessType


@control("POST", "suites/install_by_link")
def install_by_link(world: World, form: Form) -> Answer:
    """Follow an install link; it ends at the redirect, and no create_auth is sent."""
    url, corpid, userid = form.text("url"), form.text("corpid"), form.text("userid", "")
    form.finish()
    with mistakes_in("url", "corpid"):
        return shown(world.console.install_by_link(url, corpid, userid))


@control("POST", "suites/install")
def install(world: World, form: Form) -> Answer:
    """Install a suite in a corp: create_auth is sent. `by` defaults to market, for a template to qr."""
    suite, corpid = form.text("suite"), form.text("corpid")
    by = form.choice("by", Door) if "by" in form else None
    userid, state = form.text("userid", ""), form.text("state", "")
    form.finish()
    with mistakes_in("suite", "corpid", "by", "state"):
        return shown(world.console.install(suite, corpid, by, userid, state))


@control("POST", "suites/install_by_share")
def install_by_share(world: World, form: Form) -> Answer:
    """Share a parent's app with children, and return their installations."""
    suite, parent, corpids, business_type = _share(form)
    way = form.choice("way", CustomizedShare) if "way" in form else None
    form.finish()
    with mistakes_in("suite", "parent_corpid", "corpids", "way"):
        installs = world.console.install_by_share(suite, parent, corpids, business_type, way)
    return {"installs": [shown(each) for each in installs]}


@control("POST", "suites/unshare")
def unshare(world: World, form: Form) -> Answer:
    """End the shares with children; what they installed is cancelled."""
    suite, parent, corpids, business_type = _share(form)
    form.finish()
    with mistakes_in("suite", "parent_corpid", "corpids"):
        world.console.unshare(suite, parent, corpids, business_type)
    return {}


def shown(made: Install) -> Answer:
    """Return an installation as JSON values."""
    return {"corpid": made.corp_id, "auth_code": made.auth_code, "redirect": made.redirect}


def _share(form: Form) -> tuple[str, str, list[str], BusinessType]:
    business_type = form.choice("business_type", BusinessType, BusinessType.CORP_GROUP)
    return form.text("suite"), form.text("parent_corpid"), form.texts("corpids"), business_type
