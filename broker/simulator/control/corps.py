"""Show the world, and change its corps, apps and tokens."""

from dataclasses import replace

from broker.simulator.answers import Answer
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.control.routes import control
from broker.simulator.control.settings import shown
from broker.simulator.world import World
from broker.simulator.world.corps import ADDRESS, App, AppId, Corp, Member
from broker.simulator.world.shares import Share


@control("GET", "world")
def read_world(world: World, form: Form) -> Answer:
    """Show corps, apps, shares and settings, without secrets and tokens."""
    form.finish()
    return {
        "now": world.now(),
        "corps": [_corp(world, corp) for corp in world.corps],
        "shares": [_share(share) for share in world.shares],
        "settings": shown(world.settings),
    }


@control("POST", "corps")
def change_corp(world: World, form: Form) -> Answer:
    """Add a corp, or rename or dissolve a known one."""
    corpid = form.text("corpid")
    known = world.corps.find(corpid)
    name = form.name("name", known.name if known else corpid)
    dissolved = form.flag("dissolved", known.dissolved if known else False)
    form.finish()
    corp = known or world.add_corp(corpid, name)
    corp.name, corp.dissolved = name, dissolved
    return _corp(world, corp)


@control("POST", "apps")
def change_app(world: World, form: Form) -> Answer:
    """Add an app to a corp, or change the given fields of a known one."""
    corpid, agentid = form.app()
    corp = world.corps.find(corpid)
    known = (corp.apps.get(agentid) if corp else None) or App(agentid, "示例应用")
    app = replace(
        known,
        name=form.text("name", known.name),
        secret=form.text("secret") if "secret" in form else known.secret,
        enabled=form.flag("enabled", known.enabled),
        trusted_ips=_trusted_ips(form, known),
    )
    form.finish()
    if corp is None:
        raise ControlMistake("corpid", f"there is no corp {corpid}")
    corp.apps[agentid] = app
    return _app(world, corp, app)


@control("POST", "members")
def add_member(world: World, form: Form) -> Answer:
    """Add a member to a corp, replacing one with the same userid."""
    corpid, userid = form.text("corpid"), form.text("userid")
    name, position = form.name("name", userid), form.name("position", "")
    address = form.name("address", ADDRESS)
    form.finish()
    if (corp := world.corps.find(corpid)) is None:
        raise ControlMistake("corpid", f"there is no corp {corpid}")
    corp.add_member(Member(userid, name, position=position, address=address))
    return {}


@control("POST", "kill")
def kill(world: World, form: Form) -> Answer:
    """Kill one token or ticket by its value, or all living tokens of an app."""
    if "token" in form:
        value = form.text("token")
        form.finish()
        return {"killed": int(world.kill(value))}
    app = form.app()
    form.finish()
    return {"killed": world.kill_app(*app)}


def _trusted_ips(form: Form, known: App) -> frozenset[str] | None:
    if "trusted_ips" not in form:
        return known.trusted_ips
    return None if form.is_null("trusted_ips") else frozenset(form.texts("trusted_ips"))


def _corp(world: World, corp: Corp) -> Answer:
    return {
        "corpid": corp.corpid,
        "name": corp.name.decode(errors="replace") if isinstance(corp.name, bytes) else corp.name,
        "dissolved": corp.dissolved,
        "apps": [_app(world, corp, app) for app in corp.apps.values()],
    }


def _app(world: World, corp: Corp, app: App) -> Answer:
    return {
        "agentid": app.agentid,
        "name": app.name,
        "enabled": app.enabled,
        "trusted_ips": None if app.trusted_ips is None else sorted(app.trusted_ips),
        "living_tokens": len(world.tokens.alive(AppId(corp.corpid, app.agentid), world.now())),
    }


def _share(share: Share) -> Answer:
    return {
        "parent_corpid": share.parent.corpid,
        "parent_agentid": share.parent.agentid,
        "corpid": share.child.corpid,
        "agentid": share.child.agentid,
        "business_type": int(share.business_type),
        "confirmed": share.confirmed,
    }
