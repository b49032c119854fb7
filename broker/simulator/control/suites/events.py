"""Send events to suites and providers, and read how they were answered."""

from itertools import islice

from broker.simulator.answers import Answer
from broker.simulator.callbacks.suite_sender import send_suite_event, send_system_event
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World
from broker.simulator.world.call_log import digest
from broker.simulator.world.console.suite_events import Details
from broker.simulator.world.events.delivery import Attempt, Delivery
from broker.simulator.world.events.kinds import COMMANDS, SYSTEM, EventKind

_RECENT = 1000


@control("POST", "suites/events")
async def send_event_of_suite(world: World, form: Form) -> Answer:
    """Send an event of a suite, and return how it was answered; `raw_base64` replaces the message."""
    suite, kind = form.text("suite"), form.choice("event", EventKind)
    corpid, parent = form.text("corpid", ""), form.text("parent_corpid", "")
    details = _details(form)
    form.finish()
    with mistakes_in("suite", "event", "corpid", "parent_corpid"):
        return _shown(await send_suite_event(world, suite, kind, corpid, parent=parent, **details))


@control("POST", "providers/events")
async def send_event_of_provider(world: World, form: Form) -> Answer:
    """Send a system event of a provider, and return how it was answered."""
    provider, kind = form.text("provider"), form.choice("event", EventKind)
    corpid, details = form.text("corpid", ""), _details(form)
    form.finish()
    with mistakes_in("provider", "event", "corpid"):
        return _shown(await send_system_event(world, provider, kind, corpid, **details))


@control("GET", "suites/events")
def read_events_of_suites(world: World, form: Form) -> Answer:
    """Return the latest events of suites and providers, newest first, with each attempt and its answer."""
    form.finish()
    deliveries = reversed(world.callbacks.outbox.deliveries)
    of_suites = (each for each in deliveries if each.event.suite_id or each.event.kind in SYSTEM)
    return {"events": [_shown(delivery) for delivery in islice(of_suites, _RECENT)]}


def _details(form: Form) -> Details:
    return {
        "userid": form.text("userid", ""),
        "text": form.text("text", "你好"),
        "state": form.text("state", ""),
        "detail": form.text("detail", ""),
        "raw": form.raw("raw_base64"),
    }


def _shown(delivery: Delivery) -> Answer:
    event = delivery.event
    return {
        "event": event.kind.value,
        "suite_id": event.suite_id,
        "corpid": event.place.corpid,
        "at": event.at,
        "code_digest": digest(event.code) if event.kind in COMMANDS else "",
        "accepted": delivery.accepted,
        "attempts": [_attempt(attempt) for attempt in delivery.attempts],
    }


def _attempt(attempt: Attempt) -> Answer:
    return {
        "status": attempt.status,
        "success": attempt.body == "success",
        "body": attempt.body,
        "error": attempt.error,
        "seconds": attempt.seconds,
        "reply": attempt.reply,
        "reply_problem": attempt.reply_problem,
    }
