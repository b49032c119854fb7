"""The demo of a provider: acme has a third-party app and a 代开发 template; a corp group may use them."""

import asyncio
import time
from collections.abc import Callable

from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import CALLBACK_AES_KEY
from broker.simulator.world import World
from broker.simulator.world.console.addresses import Channel
from broker.simulator.world.corps import Member
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.settings import Settings
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite, SuiteKind
from broker.simulator.world.world import Sleep

PROVIDER = "ww5d0e9b21c7a4f683"
PROVIDER_SECRET = "demo-provider-secret-of-the-simulator"
MARKET = "ww8f3c1d5a77e0b942"
MARKET_SECRET = "demo-suite-secret-of-the-simulator"
TAILORED = "dk3b9a6f0e52d7c184"
TAILORED_SECRET = "demo-template-secret-of-the-simulator"
PARENT = "ww3group000000001"
CALLBACK_KEYS = {
    name: CallbackKeys(token, CALLBACK_AES_KEY)
    for name, token in {
        "acme": "DemoTokenOfTheProvider",
        "market": "DemoTokenOfTheThirdPartyApp",
        "tailored": "DemoTokenOfTheTemplate",
    }.items()
}
"""Different ones, as a broker demands. The 代开发 apps at clients have those of their template."""
INSTALLER = "zhangsan"
MEMBER = "lisi"


def child(number: int) -> str:
    """Return the plain corpid of a child, counted from 1."""
    return f"ww4child{number:010d}"


def children(number: int) -> list[str]:
    """Return the plain corpids of the first children."""
    return [child(index) for index in range(1, number + 1)]


def provider_world(
    children: int = 3,
    *,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Sleep = asyncio.sleep,
) -> World:
    """Build a world of a provider with two suites, a parent corp and its children; nothing is installed."""
    world = World(settings=settings, clock=clock, sleep=sleep)
    add_provider(world)
    add_group(world, children)
    return world


def add_provider(world: World) -> None:
    """Add the provider acme with its suites market and tailored."""
    world.suites.add_provider(Provider(PROVIDER, PROVIDER_SECRET, "acme"))
    world.suites.add(Suite(MARKET, MARKET_SECRET, PROVIDER, name="market", paid=True, mini_program=True))
    world.suites.add(Suite(TAILORED, TAILORED_SECRET, PROVIDER, SuiteKind.CUSTOMIZED, "tailored"))


def call_back(world: World, base: str) -> None:
    """Send the events of acme and its suites to a broker whose apps have these names: base is …/callback."""

    def callback(path: str) -> Callback:
        return Callback(f"{base}/{path}", CALLBACK_KEYS[path.partition("/")[0]])

    world.console.set_callback("market", Channel.COMMAND, callback("market"))
    world.console.set_callback("market", Channel.DATA, callback("market"))
    world.console.set_callback("tailored", Channel.COMMAND, callback("tailored"))
    world.console.set_callback("tailored", Channel.APP, callback("tailored/$CORPID$"))
    world.console.set_system_callback("acme", callback("acme"))


def add_group(world: World, number: int) -> None:
    """Add the parent corp and its children; those that are there stay as they are."""
    members = {
        PARENT: ("晨星集团", INSTALLER),
        **{corpid: (f"晨星{corpid[-4:]}", MEMBER) for corpid in children(number)},
    }
    for corpid, (name, userid) in members.items():
        if world.corps.find(corpid) is None:
            world.add_corp(corpid, name).add_member(Member(userid, userid))
