"""The world of the demo: 示例集团 shares one app with children in 企业互联 and 上下游."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.simulator.crypto import CallbackKeys
from broker.simulator.world.corps import AppId, Member
from broker.simulator.world.shares import BusinessType

if TYPE_CHECKING:
    from broker.simulator.world.world import World

PARENT = AppId("ww0parent000000001", 1000002)
SECRET = "demo-secret-of-the-simulator"
SUITE_ID = "ww0suite0000000001"
CALLBACK_TOKEN = "DemoTokenOfTheCallbacks"
# Its last letter has spare bits that are not zero, as real ones may (wecom-api C2).
CALLBACK_AES_KEY = "DemoKeyOfTheSimulatedWeComForItsCallbacks0B"
CALLBACK_KEYS = CallbackKeys(CALLBACK_TOKEN, CALLBACK_AES_KEY)

_CHILDREN = ("华东公司", "华南公司", "华北公司", "西南公司", "东北公司")
_FIRST_AGENTID = 1000010
_SUPPLIER = AppId("wpSupplier_000000001", 1000020)
_FIRST_LOAD_AGENTID = 2000001


def furnish(world: World) -> None:
    """Fill the world with the parent corp, its app and all children."""
    furnish_parent(world)
    for number, name in enumerate(_CHILDREN, start=1):
        child = AppId(f"ww1child{number:09d}", _FIRST_AGENTID + number - 1)
        world.share(PARENT, child, corp_name=name)
        _add_member(world, child.corpid, "lisi", "李四")
    world.share(PARENT, _SUPPLIER, BusinessType.SUPPLY_CHAIN, corp_name="示例供应商")
    _add_member(world, _SUPPLIER.corpid, "wangwu", "王五")


def furnish_parent(world: World) -> None:
    """Found the parent corp with the app that it will share."""
    world.add_corp(PARENT.corpid, "示例集团")
    world.add_app(*PARENT, SECRET)
    _add_member(world, PARENT.corpid, "zhangsan", "张三")


def add_children(world: World, number: int) -> None:
    """Share the parent's app with so many more children in 企业互联."""
    for index in range(1, number + 1):
        child = AppId(f"ww2load{index:010d}", _FIRST_LOAD_AGENTID + index - 1)
        world.share(PARENT, child, corp_name=f"第{index}分公司")


def _add_member(world: World, corpid: str, userid: str, name: str) -> None:
    if corp := world.corps.find(corpid):
        corp.add_member(Member(userid, name))
