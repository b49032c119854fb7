"""Quotas, and the ban after wrong secrets."""

from broker.simulator import Quota, World, demo
from tests.simulator.caller import AGENT_GET, Caller, FakeClock


async def wrong_secrets(wecom: Caller, number: int) -> list[int]:
    return [(await wecom.gettoken(corpsecret="wrong"))["errcode"] for _ in range(number)]


async def test_five_wrong_secrets_ban_the_address_from_gettoken_for_an_hour(
    wecom: Caller, clock: FakeClock
) -> None:
    token = await wecom.token()

    assert [40001] * 5 == await wrong_secrets(wecom, 5)
    assert 45009 == (await wecom.gettoken())["errcode"]
    assert 0 == await wecom.probe(token)

    clock.now += 3599
    assert 45009 == (await wecom.gettoken())["errcode"]
    clock.now += 1
    assert 0 == (await wecom.gettoken())["errcode"]


async def test_four_wrong_secrets_ban_nobody(wecom: Caller) -> None:
    await wrong_secrets(wecom, 4)

    assert 0 == (await wecom.gettoken())["errcode"]


async def test_wrong_secrets_of_long_ago_are_forgotten(wecom: Caller, clock: FakeClock) -> None:
    await wrong_secrets(wecom, 4)
    clock.now += 3601

    assert [40001] * 4 == await wrong_secrets(wecom, 4)
    assert 0 == (await wecom.gettoken())["errcode"]


async def test_a_ban_may_cover_every_endpoint(wecom: Caller, world: World) -> None:
    world.settings.ban_covers_everything = True
    token = await wecom.token()
    await wrong_secrets(wecom, 5)

    assert 45009 == await wecom.probe(token)

    world.bans.clear()

    assert 0 == await wecom.probe(token)


async def test_a_quota_that_was_hit_blocks_for_a_whole_window(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    world.quotas.set("gettoken", Quota(2))
    assert [0, 0] == [(await wecom.gettoken())["errcode"] for _ in range(2)]

    clock.now += 59
    assert 45009 == (await wecom.gettoken())["errcode"]
    clock.now += 59
    assert 45009 == (await wecom.gettoken())["errcode"]
    clock.now += 1
    assert 0 == (await wecom.gettoken())["errcode"]


async def test_a_quota_that_was_not_hit_starts_anew_with_the_next_window(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    world.quotas.set("gettoken", Quota(2))
    for _ in range(3):
        assert [0, 0] == [(await wecom.gettoken())["errcode"] for _ in range(2)]
        clock.now += 60


async def test_each_corp_and_each_endpoint_has_its_own_count(wecom: Caller, world: World) -> None:
    world.quotas.set("agent/get", Quota(1))
    parent = await wecom.token()
    child = (await wecom.child_gettoken(parent))["access_token"]

    assert [0, 45009] == [await wecom.probe(parent), await wecom.probe(parent)]
    assert 0 == await wecom.probe(child, agentid=1000010)
    assert 0 == (await wecom.gettoken())["errcode"]


async def test_a_lifted_quota_is_forgotten(wecom: Caller, world: World) -> None:
    world.quotas.set("agent/get", Quota(0))
    token = await wecom.token()
    assert 45009 == await wecom.probe(token)

    world.quotas.clear("agent/get")
    assert 0 == await wecom.probe(token)


async def test_a_refused_token_spends_no_quota(wecom: Caller, world: World) -> None:
    world.quotas.set("agent/get", Quota(1))
    for _ in range(3):
        await wecom.get(AGENT_GET, access_token="invented")

    assert 0 == await wecom.probe(await wecom.token(), agentid=demo.PARENT.agentid)
