"""Push suite_tickets, lose them, and hold them back."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World


@control("POST", "suites/ticket")
def push_tickets(world: World, form: Form) -> Answer:
    """Push new tickets of a suite, as the console's button does."""
    suite, count = form.text("suite"), form.integer("count", 1, least=1)
    form.finish()
    with mistakes_in("suite"):
        for _ in range(count):
            world.console.tickets.push(suite)
    return {}


@control("POST", "suites/ticket_interval")
def set_interval(world: World, form: Form) -> Answer:
    """Push a ticket in each interval, of one suite or of all; null stops it."""
    suite = form.text("suite") if "suite" in form else None
    seconds = None if form.is_null("seconds") else form.number("seconds")
    form.finish()
    with mistakes_in("suite", "seconds"):
        world.console.tickets.every(seconds, suite)
    return {}


@control("POST", "suites/ticket_loss")
def lose_tickets(world: World, form: Form) -> Answer:
    """Lose the next tickets of a suite on the way."""
    suite, count = form.text("suite"), form.integer("count", 1, least=1)
    form.finish()
    with mistakes_in("suite"):
        world.console.tickets.lose(suite, count)
    return {}


@control("POST", "suites/ticket_delay")
def hold_tickets(world: World, form: Form) -> Answer:
    """Hold the next tickets of a suite back: they follow the one after them, or a release."""
    suite, count = form.text("suite"), form.integer("count", 1, least=1)
    form.finish()
    with mistakes_in("suite"):
        world.console.tickets.hold(suite, count)
    return {}


@control("POST", "suites/ticket_release")
def release_tickets(world: World, form: Form) -> Answer:
    """Send the tickets of a suite that are held back."""
    suite = form.text("suite")
    form.finish()
    with mistakes_in("suite"):
        return {"released": world.console.tickets.release(suite)}
