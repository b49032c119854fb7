"""The world of the demo: 示例集团 shares one app with children in 企业互联 and 上下游."""

import asyncio
import time
from collections.abc import Callable

from broker.simulator.crypto import CallbackKeys
from broker.simulator.world import World
from broker.simulator.world.corps import AppId, Member
from broker.simulator.world.events import callback
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.world import Sleep

PARENT = AppId("ww0parent000000001", 1000002)
SECRET = "demo-secret-of-the-simulator"
SUITE_ID = callback.SUITE_ID
CALLBACK_TOKEN = "DemoTokenOfTheCallbacks"
# Its last character has spare bits that are not zero, as in some real keys (wecom-api C2).
CALLBACK_AES_KEY = "DemoKeyOfTheSimulatedWeComForItsCallbacks0B"
CALLBACK_KEYS = CallbackKeys(CALLBACK_TOKEN, CALLBACK_AES_KEY)

_CHILDREN = ("华东公司", "华南公司", "华北公司", "西南公司", "东北公司")
_FIRST_AGENTID = 1000010
_SUPPLIER = AppId("wpSupplier_000000001", 1000020)
_FIRST_LOAD_AGENTID = 2000001


def demo_world(
    *,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Sleep = asyncio.sleep,
) -> World:
    """Build a world of a parent corp, its app and a few children."""
    world = World(settings=settings, clock=clock, sleep=sleep)
    add_parent(world)
    for number, name in enumerate(_CHILDREN, start=1):
        child = AppId(f"ww1child{number:09d}", _FIRST_AGENTID + number - 1)
        world.share(PARENT, child, corp_name=name)
        world.corps.get(child.corpid).add_member(Member("lisi", "李四"))
    world.share(PARENT, _SUPPLIER, BusinessType.SUPPLY_CHAIN, corp_name="示例供应商")
    world.corps.get(_SUPPLIER.corpid).add_member(Member("wangwu", "王五"))
    return world


def add_parent(world: World) -> None:
    """Add the parent corp and the app that it will share."""
    world.add_corp(PARENT.corpid, "示例集团").add_member(Member("zhangsan", "张三"))
    world.add_app(*PARENT, SECRET)


def add_children(world: World, number: int) -> None:
    """Share the parent's app with `number` more children in 企业互联. Raises LookupError without a parent."""
    for index in range(1, number + 1):
        child = AppId(f"ww2load{index:010d}", _FIRST_LOAD_AGENTID + index - 1)
        world.share(PARENT, child, corp_name=f"第{index}分公司")
