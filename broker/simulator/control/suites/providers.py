"""Add providers, and set their URL for system events."""

from broker.simulator.answers import Answer
from broker.simulator.control.callback_form import callback_of
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.tokens import ProviderToken


@control("POST", "providers")
def add_provider(world: World, form: Form) -> Answer:
    """Add a provider (服务商), replacing one with the same corp_id; the ids that it knows stay."""
    corp_id = form.text("corp_id")
    known = world.suites.find_provider(corp_id)
    provider = Provider(
        corp_id,
        form.text("secret"),
        name=form.text("name", ""),
        trusted_ips=frozenset(form.texts("trusted_ips")) if "trusted_ips" in form else None,
        encrypted_ids=form.flag("encrypted_ids", True),
        generations=known.generations if known else {},
    )
    form.finish()
    world.suites.add_provider(provider)
    return {}


@control("POST", "providers/callback")
def set_system_callback(world: World, form: Form) -> Answer:
    """Set the URL of a provider's system events; the keys default to the demo's."""
    provider, callback = form.text("provider"), callback_of(form)
    form.finish()
    with mistakes_in("provider"):
        world.console.set_system_callback(provider, callback)
    return {}


@control("POST", "providers/kill")
def kill_provider_tokens(world: World, form: Form) -> Answer:
    """Kill all living tokens of a provider."""
    provider = form.text("provider")
    form.finish()
    with mistakes_in("provider"):
        holder = world.suites.provider(provider).holder
    return {"killed": world.books[ProviderToken].kill_app(holder, world.now())}
