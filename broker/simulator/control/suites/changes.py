"""Change and end authorisations."""

from enum import StrEnum

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.installs import shown
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World
from broker.simulator.world.console.console import PERMISSION_SECONDS
from broker.simulator.world.suites.authorization import Edition


class _Happening(StrEnum):
    """Name what may happen to a permission."""

    AUTHORIZE = "authorize"
    REMIND = "remind"
    END = "end"


@control("POST", "suites/cancel")
def cancel(world: World, form: Form) -> Answer:
    """End an authorisation and its tokens; cancel_auth is sent."""
    suite, corpid = _which(form)
    form.finish()
    with mistakes_in("suite", "corpid"):
        world.console.cancel(suite, corpid)
    return {}


@control("POST", "suites/change")
def change(world: World, form: Form) -> Answer:
    """Say that something about an authorisation has changed: change_auth is sent."""
    suite, corpid = _which(form)
    form.finish()
    with mistakes_in("suite", "corpid"):
        world.console.change(suite, corpid)
    return {}


@control("POST", "suites/reset")
def reset(world: World, form: Form) -> Answer:
    """Reset the secret of a 代开发 app; reset_permanent_code is sent."""
    suite, corpid = _which(form)
    form.finish()
    with mistakes_in("suite", "corpid"):
        return shown(world.console.reset(suite, corpid))


@control("POST", "suites/edition")
def change_edition(world: World, form: Form) -> Answer:
    """Change what a corp has paid for; change_editon is sent for it and each child of its share."""
    suite, corpid = _which(form)
    usual = Edition.bought(world.now())
    edition = Edition(
        edition_id=form.text("edition_id", usual.edition_id),
        edition_name=form.text("edition_name", usual.edition_name),
        app_status=form.integer("app_status", usual.app_status, most=7),
        user_limit=form.integer("user_limit", usual.user_limit),
        expired_time=form.integer("expired_time") if "expired_time" in form else usual.expired_time,
        is_virtual_version=form.flag("is_virtual_version", False),
    )
    form.finish()
    with mistakes_in("suite", "corpid"):
        world.console.change_edition(suite, corpid, edition)
    return {}


@control("POST", "suites/permission")
def change_permission(world: World, form: Form) -> Answer:
    """Grant a data permission for a time, send the reminder of its end, or end it now."""
    suite, corpid = _which(form)
    permission, happening = form.text("permission"), form.choice("happening", _Happening)
    seconds = form.number("seconds", PERMISSION_SECONDS)
    form.finish()
    with mistakes_in("suite", "corpid", "permission"):
        match happening:
            case _Happening.AUTHORIZE:
                world.console.authorize_data(suite, corpid, permission, seconds)
            case _Happening.REMIND:
                world.console.remind_data(suite, corpid, permission)
            case _Happening.END:
                world.console.end_permission(suite, corpid, permission)
    return {}


@control("POST", "suites/new_corpid")
def new_corpid(world: World, form: Form) -> Answer:
    """Let a corp that cancelled everything of a provider come back under another id."""
    provider, corpid = form.text("provider"), form.text("corpid")
    form.finish()
    with mistakes_in("provider", "corpid"):
        return {"corpid": world.console.new_corpid(provider, corpid)}


def _which(form: Form) -> tuple[str, str]:
    return form.text("suite"), form.text("corpid")
