"""Set where an app's events go, send events, and read how they were answered."""

from dataclasses import replace
from itertools import islice

from broker.simulator.answers import Answer
from broker.simulator.callbacks.sender import send_event
from broker.simulator.callbacks.sender import verify_url as verify
from broker.simulator.control.callback_form import callback_of, verified
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.events.callback import Format, Whose
from broker.simulator.world.events.delivery import Delivery
from broker.simulator.world.events.kinds import ChangeType, EventKind
from broker.simulator.world.shares import BusinessType

_RECENT = 100


@control("POST", "callback")
def set_callback(world: World, form: Form) -> Answer:
    """Send an app's events to a URL; the keys default to the demo's."""
    app = _app(world, form)
    callback = replace(
        callback_of(form),
        suite_id=form.text("suite_id", ""),
        robot=form.flag("robot", False),
        receive_id=form.choice("receive_id", Whose, Whose.PARENT),
        to_user_name=form.choice("to_user_name", Whose, Whose.PARENT),
        agent_id=form.choice("agent_id", Whose, Whose.CHILD),
    )
    form.finish()
    world.callbacks.set(callback, app)
    return {}


@control("DELETE", "callback")
def clear_callback(world: World, form: Form) -> Answer:
    """Remove an app's callback; its events are dropped."""
    app = _app(world, form)
    form.finish()
    return {"removed": world.callbacks.clear(app)}


@control("POST", "events")
async def send_events(world: World, form: Form) -> Answer:
    """Send events, and return how they were answered; `raw_base64` replaces the message."""
    app = _app(world, form)
    kind = form.choice("event", EventKind)
    corpid, userid = form.text("corpid", app.corpid), form.text("userid", "")
    count = form.integer("count", 1, least=1)
    text = form.text("text", "你好")
    change_type = form.choice("change_type", ChangeType, ChangeType.CORP_JOIN)
    body_format = form.choice("format", Format) if "format" in form else None
    business_type = form.choice("business_type", BusinessType) if "business_type" in form else None
    agentid = form.integer("agentid", 0)
    raw = form.raw("raw_base64")
    form.finish()
    _check_callback(world, app, kind)
    deliveries = await send_event(
        world,
        kind,
        corpid,
        userid,
        app,
        count=count,
        body_format=body_format,
        business_type=business_type,
        agentid=agentid,
        text=text,
        change_type=change_type,
        raw=raw,
    )
    return {"events": [_shown(delivery) for delivery in deliveries]}


@control("GET", "events")
def read_events(world: World, form: Form) -> Answer:
    """Return the latest events, newest first, and how they were answered."""
    form.finish()
    latest = islice(reversed(world.callbacks.outbox.deliveries), _RECENT)
    return {"events": [_shown(delivery) for delivery in latest]}


@control("POST", "verify_url")
async def verify_url(world: World, form: Form) -> Answer:
    """Verify an app's URL, and return whether it passed."""
    app, receive_id = _app(world, form), form.text("receive_id", "")
    form.finish()
    _check_callback(world, app)
    return verified(await verify(world, app, receive_id))


def _app(world: World, form: Form) -> AppId:
    if "app_corpid" in form:
        return form.app("app_")
    try:
        return world.corps.main_app
    except LookupError as unknown:
        raise ControlMistake("app_corpid", f"is missing: {unknown}") from None


def _check_callback(world: World, app: AppId, kind: EventKind = EventKind.TEXT) -> None:
    try:
        world.callbacks.of(app).check(kind)
    except LookupError as unknown:
        raise ControlMistake("app_corpid, app_agentid", f"{unknown}: POST callback sets one") from None
    except ValueError as mistake:
        raise ControlMistake("event", str(mistake)) from None


def _shown(delivery: Delivery) -> Answer:
    event = delivery.event
    last = delivery.attempts[-1] if delivery.attempts else None
    return {
        "event": event.kind.value,
        "corpid": event.origin.corpid,
        "agentid": event.origin.agentid,
        "userid": event.userid,
        "at": event.at,
        "accepted": delivery.accepted,
        "tries": len(delivery.attempts),
        "status": last and last.status,
        "body": last and last.body,
        "error": last and last.error,
        "reply": last and last.reply,
        "reply_problem": last and last.reply_problem,
        "seconds": last and last.seconds,
    }
