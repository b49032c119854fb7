"""Have people log in to suites."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World


@control("POST", "suites/login_codes")
def suite_login_code(world: World, form: Form) -> Answer:
    """Have a member open a suite's login link; a parent_corpid shares its 代开发 app with the corp."""
    suite, corpid, userid, parent = _who(form)
    privateinfo = form.flag("privateinfo", False)
    form.finish()
    with mistakes_in("suite", "corpid", "parent_corpid"):
        code = world.people.suite_login_code(suite, corpid, userid, privateinfo=privateinfo, parent=parent)
    return {"code": code}


@control("POST", "suites/js_codes")
def suite_js_code(world: World, form: Form) -> Answer:
    """Have a member open a suite's mini-program."""
    suite, corpid, userid, parent = _who(form)
    form.finish()
    with mistakes_in("suite", "corpid", "parent_corpid"):
        return {"code": world.people.suite_js_code(suite, corpid, userid, parent=parent)}


@control("POST", "suites/visitor_codes")
def suite_visitor_code(world: World, form: Form) -> Answer:
    """Have somebody who is not a member open a suite's login link."""
    suite, openid = form.text("suite"), form.text("openid")
    form.finish()
    with mistakes_in("suite"):
        return {"code": world.people.suite_visitor_code(suite, openid)}


def _who(form: Form) -> tuple[str, str, str, str]:
    return form.text("suite"), form.text("corpid"), form.text("userid"), form.text("parent_corpid", "")
