"""Add suites, and the demo of a provider."""

from broker.simulator import provider_demo
from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.control.suites.mistakes import mistakes_in
from broker.simulator.world import World
from broker.simulator.world.suites.suite import Suite, SuiteKind
from broker.simulator.world.tokens import SuiteToken


@control("POST", "suites")
def add_suite(world: World, form: Form) -> Answer:
    """Add a suite, replacing one with the same id."""
    suite_id, secret, provider = form.text("suite_id"), form.text("secret"), form.text("provider")
    kind = form.choice("kind", SuiteKind, SuiteKind.THIRD_PARTY)
    name, redirect_host = form.text("name", ""), form.text("redirect_host", "")
    published, paid = form.flag("published", True), form.flag("paid", False)
    mini_program, has_agent = form.flag("mini_program", False), form.flag("has_agent", True)
    form.finish()
    with mistakes_in("provider"):
        provider_id = world.suites.provider(provider).corp_id
    world.suites.add(
        Suite(
            suite_id,
            secret,
            provider_id,
            kind,
            name,
            published=published,
            paid=paid,
            mini_program=mini_program,
            has_agent=has_agent,
            redirect_host=redirect_host,
        )
    )
    return {}


@control("POST", "suites/demo")
def add_demo(world: World, form: Form) -> Answer:
    """Add the demo of a provider: acme, its suites market and tailored, a parent corp and its children."""
    children, base = form.integer("children", 3), form.text("callback_base", "")
    form.finish()
    provider_demo.add_provider(world)
    provider_demo.add_group(world, children)
    if base:
        with mistakes_in("callback_base"):
            provider_demo.call_back(world, base)
    return {
        "provider": {
            "corp_id": provider_demo.PROVIDER,
            "secret": provider_demo.PROVIDER_SECRET,
            **_keys_of("acme"),
        },
        "market": {
            "suite_id": provider_demo.MARKET,
            "secret": provider_demo.MARKET_SECRET,
            **_keys_of("market"),
        },
        "tailored": {
            "suite_id": provider_demo.TAILORED,
            "secret": provider_demo.TAILORED_SECRET,
            **_keys_of("tailored"),
        },
        "parent": provider_demo.PARENT,
        "children": provider_demo.children(children),
    }


@control("POST", "suites/kill")
def kill_suite_tokens(world: World, form: Form) -> Answer:
    """Kill all living tokens of a suite, or of its app in one corp."""
    suite = form.text("suite")
    corpid = form.text("corpid") if "corpid" in form else ""
    form.finish()
    with mistakes_in("suite", "corpid"):
        if corpid:
            return {"killed": world.kill_app(*world.console.app(suite, corpid))}
        holder = world.suites.get(suite).holder
    return {"killed": world.books[SuiteToken].kill_app(holder, world.now())}


def _keys_of(name: str) -> Answer:
    keys = provider_demo.CALLBACK_KEYS[name]
    return {"token": keys.token, "aes_key": keys.encoding_aes_key}
