"""Set and verify the URLs of suites and providers."""

from broker.simulator.answers import Answer
from broker.simulator.callbacks.suite_sender import verify_suite_url, verify_system_url
from broker.simulator.control.callback_form import callback_of, verified
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World
from broker.simulator.world.console.addresses import Channel


@control("POST", "suites/callback")
def set_suite_callback(world: World, form: Form) -> Answer:
    """Set a callback URL of a suite; $CORPID$ in it becomes the corp's id."""
    suite, channel = form.text("suite"), form.choice("channel", Channel)
    corpid = form.text("corpid", "")
    callback = callback_of(form)
    form.finish()
    with mistakes_in("suite", "channel", "corpid"):
        world.console.set_callback(suite, channel, callback, corpid)
    return {}


@control("POST", "suites/verify_url")
async def verify_url_of_suite(world: World, form: Form) -> Answer:
    """Verify a URL of a suite, sealed for its provider, and return whether it passed."""
    suite, channel = form.text("suite"), form.choice("channel", Channel)
    corpid, receive_id = form.text("corpid", ""), form.text("receive_id", "")
    form.finish()
    with mistakes_in("suite", "channel", "corpid"):
        return verified(await verify_suite_url(world, suite, channel, corpid, receive_id))


@control("POST", "providers/verify_url")
async def verify_url_of_provider(world: World, form: Form) -> Answer:
    """Verify a provider's URL for system events, and return whether it passed."""
    provider, receive_id = form.text("provider"), form.text("receive_id", "")
    form.finish()
    with mistakes_in("provider"):
        return verified(await verify_system_url(world, provider, receive_id))
