"""Make people log in, and kill tickets."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.tickets import TicketKind


@control("POST", "login_codes")
def login_code(world: World, form: Form) -> Answer:
    """Make a member follow an app's authorize link."""
    corpid, userid = form.text("corpid"), form.text("userid")
    app, business_type = _app(form), _business_type(form)
    privateinfo = form.flag("privateinfo", False)
    form.finish()
    _check_corp(world, corpid)
    code = world.people.login_code(corpid, userid, app, privateinfo=privateinfo, business_type=business_type)
    return {"code": code}


@control("POST", "js_codes")
def js_code(world: World, form: Form) -> Answer:
    """Make a member open the mini-program of an app."""
    corpid, userid = form.text("corpid"), form.text("userid")
    app, business_type = _app(form), _business_type(form)
    form.finish()
    _check_corp(world, corpid)
    return {"code": world.people.js_code(corpid, userid, app, business_type=business_type)}


@control("POST", "visitor_codes")
def visitor_code(world: World, form: Form) -> Answer:
    """Make somebody who is not a member follow an app's authorize link."""
    openid, external_userid = form.text("openid"), form.text("external_userid", "")
    app = _app(form)
    form.finish()
    return {"code": world.people.visitor_code(openid, external_userid, app)}


@control("POST", "kill_tickets")
def kill_tickets(world: World, form: Form) -> Answer:
    """Kill all living tickets of one kind."""
    app, kind = form.app(), form.choice("kind", TicketKind)
    form.finish()
    return {"killed": world.kill_tickets(*app, kind)}


def _app(form: Form) -> AppId | None:
    return form.app("app_") if "app_corpid" in form else None


def _business_type(form: Form) -> BusinessType | None:
    return form.choice("business_type", BusinessType) if "business_type" in form else None


def _check_corp(world: World, corpid: str) -> None:
    if world.corps.find(corpid) is None:
        raise ControlMistake("corpid", f"there is no corp {corpid}")
