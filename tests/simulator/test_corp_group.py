"""list_app_share_info and the children's tokens."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from broker.simulator import AppId, BusinessType, World, demo, running_simulator
from tests.simulator.caller import CHILD, CHILD_TOKEN, LIST_SHARES, SUPPLIER, Caller, FakeClock, Json


@pytest.fixture
async def large_group() -> AsyncIterator[Caller]:
    world = World()
    demo.add_parent(world)
    demo.add_children(world, 250)
    async with (
        running_simulator(world) as url,
        aiohttp.ClientSession(url) as session,
    ):
        yield Caller(session)


async def listed(wecom: Caller, **fields: object) -> Json:
    body = {"agentid": demo.PARENT.agentid, **fields}
    return await wecom.post(LIST_SHARES, body, access_token=await wecom.token())


async def test_without_a_limit_everything_comes_in_one_reply(large_group: Caller) -> None:
    for fields in ({}, {"limit": 0}):
        answer = await listed(large_group, **fields)

        assert 250 == len(answer["corp_list"])
        assert (1, "") == (answer["ending"], answer["next_cursor"])


async def test_250_children_take_three_pages(large_group: Caller) -> None:
    pages = [await listed(large_group, limit=100)]
    while not pages[-1]["ending"]:
        pages.append(await listed(large_group, limit=100, cursor=pages[-1]["next_cursor"]))
    children = {corp["corpid"] for page in pages for corp in page["corp_list"]}

    assert [100, 100, 50] == [len(page["corp_list"]) for page in pages]
    assert 250 == len(children)
    assert "" == pages[-1]["next_cursor"]


async def test_a_repeated_cursor_gives_the_same_page(large_group: Caller) -> None:
    cursor = (await listed(large_group, limit=100))["next_cursor"]

    assert await listed(large_group, limit=100, cursor=cursor) == await listed(
        large_group, limit=100, cursor=cursor
    )


async def test_a_full_last_page_ends_the_list(large_group: Caller) -> None:
    cursor = (await listed(large_group, limit=100))["next_cursor"]
    cursor = (await listed(large_group, limit=50, cursor=cursor))["next_cursor"]
    last = await listed(large_group, limit=100, cursor=cursor)

    assert (100, 1, "") == (len(last["corp_list"]), last["ending"], last["next_cursor"])


@pytest.mark.parametrize("cursor", ["nonsense", "!!", "企业", "MTox"])
async def test_an_invented_cursor_is_refused(wecom: Caller, cursor: str) -> None:
    assert 50100 == (await listed(wecom, cursor=cursor))["errcode"]


async def test_a_cursor_of_another_list_is_refused(wecom: Caller) -> None:
    cursor = (await listed(wecom, limit=1))["next_cursor"]

    assert 50100 == (await listed(wecom, limit=1, cursor=cursor, business_type=1))["errcode"]


@pytest.mark.parametrize("limit", [-1, 101])
async def test_a_limit_beyond_100_is_refused(wecom: Caller, limit: int) -> None:
    assert 40058 == (await listed(wecom, limit=limit))["errcode"]


async def test_a_listed_child_carries_the_agentid_of_the_child(wecom: Caller) -> None:
    first = (await listed(wecom))["corp_list"][0]

    assert {"corpid": "ww1child000000001", "corp_name": "华东公司", "agentid": 1000010} == first


async def test_the_kinds_of_sharing_are_listed_apart(wecom: Caller) -> None:
    group = [corp["corpid"] for corp in (await listed(wecom))["corp_list"]]
    chain = [corp["corpid"] for corp in (await listed(wecom, business_type=1))["corp_list"]]

    assert 5 == len(group)
    assert [SUPPLIER["corpid"]] == chain


async def test_a_list_can_be_asked_for_one_child(wecom: Caller, world: World) -> None:
    assert [CHILD] == [
        {"corpid": corp["corpid"], "agentid": corp["agentid"]}
        for corp in (await listed(wecom, corpid=CHILD["corpid"]))["corp_list"]
    ]
    assert 670004 == (await listed(wecom, corpid="ww9stranger"))["errcode"]

    world.unshare(demo.PARENT, AppId("ww1child000000001", 1000010))

    assert [] == (await listed(wecom, corpid=CHILD["corpid"]))["corp_list"]


async def test_a_child_that_has_to_confirm_is_not_listed_and_gets_no_token(
    wecom: Caller, world: World
) -> None:
    child = AppId("ww3pending", 1000099)
    world.share(demo.PARENT, child, confirmed=False)

    assert [] == (await listed(wecom, corpid="ww3pending"))["corp_list"]
    assert 670001 == (await wecom.child_gettoken(corpid="ww3pending", agentid=1000099))["errcode"]

    world.share(demo.PARENT, child)

    assert 1 == len((await listed(wecom, corpid="ww3pending"))["corp_list"])
    assert 0 == (await wecom.child_gettoken(corpid="ww3pending", agentid=1000099))["errcode"]


async def test_the_agentid_of_the_list_is_the_parents(wecom: Caller) -> None:
    assert 301002 == (await listed(wecom, agentid=1000010))["errcode"]


async def test_a_missing_field_is_named(wecom: Caller) -> None:
    token = await wecom.token()

    assert 41011 == (await wecom.post(LIST_SHARES, {}, access_token=token))["errcode"]
    assert 41002 == (await wecom.post(CHILD_TOKEN, {"agentid": 1}, access_token=token))["errcode"]
    assert 41011 == (await wecom.post(CHILD_TOKEN, {"corpid": "ww1"}, access_token=token))["errcode"]


async def test_a_child_token_is_granted_for_the_agentid_of_the_child(wecom: Caller) -> None:
    granted = await wecom.child_gettoken()

    assert 7200 == granted["expires_in"]
    assert 0 == await wecom.probe(granted["access_token"], agentid=1000010)
    assert 301002 == await wecom.probe(granted["access_token"], agentid=1000002)


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"agentid": 1000002}, 670001),
        ({"agentid": 1000011}, 670001),
        ({"business_type": 1}, 670001),
        ({"corpid": SUPPLIER["corpid"], "agentid": 1000020}, 670001),
        (SUPPLIER, 0),
        ({**SUPPLIER, "corpid": "wpsupplier_000000001"}, 670004),
        ({"corpid": "ww9stranger"}, 670004),
        ({"corpid": demo.PARENT.corpid}, 670004),
    ],
)
async def test_corp_agentid_and_business_type_have_to_match_a_share(
    wecom: Caller, fields: dict[str, object], errcode: int
) -> None:
    assert errcode == (await wecom.child_gettoken(**fields))["errcode"]


async def test_the_same_child_has_one_token_per_kind_of_sharing(wecom: Caller, world: World) -> None:
    world.share(demo.PARENT, AppId("ww1child000000001", 1000010), BusinessType.SUPPLY_CHAIN)
    group = await wecom.child_gettoken(business_type=0)
    chain = await wecom.child_gettoken(business_type=1)

    assert group["access_token"] != chain["access_token"]


async def test_a_child_token_opens_no_door_of_the_parent(wecom: Caller) -> None:
    child = (await wecom.child_gettoken())["access_token"]

    assert 670004 == (await wecom.child_gettoken(child))["errcode"]
    assert 48002 == (await wecom.post(LIST_SHARES, {"agentid": 1000010}, access_token=child))["errcode"]


async def test_a_dead_parent_token_grants_nothing_but_its_child_lives_on(wecom: Caller, world: World) -> None:
    parent = await wecom.token()
    child = (await wecom.child_gettoken(parent))["access_token"]
    world.kill(parent)

    assert 40014 == (await wecom.child_gettoken(parent))["errcode"]
    assert 0 == await wecom.probe(child, agentid=1000010)


async def test_a_removed_share_takes_its_token_along(wecom: Caller, world: World) -> None:
    token = (await wecom.child_gettoken())["access_token"]

    assert world.unshare(demo.PARENT, AppId("ww1child000000001", 1000010))
    assert 40014 == await wecom.probe(token, agentid=1000010)
    assert 670001 == (await wecom.child_gettoken())["errcode"]
    assert not world.unshare(demo.PARENT, AppId("ww1child000000001", 1000010))


async def test_a_removed_share_may_leave_its_token_alive(wecom: Caller, world: World) -> None:
    world.settings.unsharing_kills_tokens = False
    token = (await wecom.child_gettoken())["access_token"]
    world.unshare(demo.PARENT, AppId("ww1child000000001", 1000010))

    assert 0 == await wecom.probe(token, agentid=1000010)


async def test_a_page_loop_survives_a_share_that_goes_away(wecom: Caller, world: World) -> None:
    cursor = (await listed(wecom, limit=2))["next_cursor"]
    world.unshare(demo.PARENT, AppId("ww1child000000002", 1000011))
    rest = await listed(wecom, limit=100, cursor=cursor)

    assert ["华北公司", "西南公司", "东北公司"] == [corp["corp_name"] for corp in rest["corp_list"]]


async def test_a_stopped_child_corp_gives_no_token(wecom: Caller, world: World, clock: FakeClock) -> None:
    child = world.corps.find("ww1child000000001")
    assert child is not None
    child.dissolved = True

    assert 301007 == (await wecom.child_gettoken())["errcode"]
