"""jsapi_tickets: whose they are, how often they may be fetched, how they die."""

import pytest

from broker.simulator import AppId, BusinessType, Habit, TicketKind, World, demo
from tests.simulator.caller import CHILD, CORP_TICKET, Caller, FakeClock

PARENT = demo.PARENT
CHILD_APP = AppId("ww1child000000001", 1000010)


async def refusals(wecom: Caller, token: str, number: int, kind: str = "agent") -> list[int]:
    fetch = wecom.agent_ticket if kind == "agent" else wecom.corp_ticket
    errcodes = [(await fetch(token))["errcode"] for _ in range(number)]
    return [errcode for errcode in errcodes if errcode]


async def test_both_tickets_are_granted_and_differ(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    corp, agent = await wecom.corp_ticket(token), await wecom.agent_ticket(token)

    assert ["errcode", "errmsg", "ticket", "expires_in"] == list(corp) == list(agent)
    assert (7200, 7200) == (corp["expires_in"], agent["expires_in"])
    assert corp["ticket"] != agent["ticket"]
    assert corp["ticket"] == world.tickets.latest(TicketKind.CORP, PARENT)
    assert agent["ticket"] == world.tickets.latest("agent", PARENT)


async def test_a_child_s_token_brings_the_child_s_tickets(wecom: Caller, world: World) -> None:
    parent, child = await wecom.token(), await wecom.child_token()
    for token in (parent, child):
        await wecom.corp_ticket(token)
        await wecom.agent_ticket(token)

    assert 4 == len({world.tickets.latest(kind, app) for app in (PARENT, CHILD_APP) for kind in TicketKind})


async def test_a_corp_s_ticket_is_the_same_for_all_its_apps_and_an_app_s_is_its_own(
    wecom: Caller, world: World
) -> None:
    world.add_app(PARENT.corpid, 7, "another")
    first = await wecom.token()
    second = (await wecom.gettoken(corpsecret="another"))["access_token"]

    assert (await wecom.corp_ticket(first))["ticket"] == (await wecom.corp_ticket(second))["ticket"]
    assert (await wecom.agent_ticket(first))["ticket"] != (await wecom.agent_ticket(second))["ticket"]


def test_a_ticket_that_nobody_fetched_is_not_there(world: World) -> None:
    with pytest.raises(LookupError, match="no corp ticket"):
        world.tickets.latest("corp", PARENT)


@pytest.mark.parametrize("ticket_type", ["", "jsapi", "wx_card", "AGENT_CONFIG"])
async def test_a_bad_type_is_refused(wecom: Caller, ticket_type: str) -> None:
    assert 91040 == (await wecom.agent_ticket(await wecom.token(), ticket_type))["errcode"]


async def test_the_corp_s_ticket_has_no_type(wecom: Caller) -> None:
    assert 91040 == (await wecom.corp_ticket(await wecom.token(), type="jsapi"))["errcode"]


async def test_a_repeat_says_full_lifetime_of_the_same_ticket(wecom: Caller, clock: FakeClock) -> None:
    token = await wecom.token()
    first = await wecom.agent_ticket(token)
    clock.now += 7000

    assert first == await wecom.agent_ticket(token)

    clock.now += 200
    assert first["ticket"] != (await wecom.agent_ticket(await wecom.token()))["ticket"]


async def test_the_habits_of_tokens_are_those_of_tickets(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_OLD_ALIVE, "get_jsapi_ticket")
    token = await wecom.token()

    assert (await wecom.corp_ticket(token))["ticket"] != (await wecom.corp_ticket(token))["ticket"]
    assert (await wecom.agent_ticket(token))["ticket"] == (await wecom.agent_ticket(token))["ticket"]


async def test_a_dead_ticket_is_replaced(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    corp, agent = (await wecom.corp_ticket(token))["ticket"], (await wecom.agent_ticket(token))["ticket"]

    assert world.kill(corp)
    assert 1 == world.kill_tickets(*PARENT, "agent")
    assert 0 == world.kill_tickets(*PARENT, "corp")
    assert corp != (await wecom.corp_ticket(token))["ticket"]
    assert agent != (await wecom.agent_ticket(token))["ticket"]


async def test_an_app_gets_100_tickets_an_hour(wecom: Caller, clock: FakeClock) -> None:
    token = await wecom.token()

    assert [] == await refusals(wecom, token, 100)
    clock.now += 3599
    assert [45009] == await refusals(wecom, token, 1)
    clock.now += 3599
    assert [45009] == await refusals(wecom, token, 1)
    clock.now += 1
    assert [] == await refusals(wecom, await wecom.token(), 100)


async def test_another_app_and_the_other_kind_have_their_own_count(wecom: Caller, world: World) -> None:
    world.settings.tickets_an_hour_of_an_app = 1
    parent, child = await wecom.token(), await wecom.child_token()

    assert [45009] == await refusals(wecom, parent, 2)
    assert [45009] == await refusals(wecom, child, 2)
    assert [45009] == await refusals(wecom, parent, 2, "corp")


async def test_both_kinds_may_count_together(wecom: Caller, world: World) -> None:
    world.settings.tickets_count_together = True
    world.settings.tickets_an_hour_of_an_app = 2
    token = await wecom.token()

    assert [] == await refusals(wecom, token, 1, "corp")
    assert [45009] == await refusals(wecom, token, 2)


async def test_a_corp_gets_400_tickets_an_hour_for_all_its_apps(wecom: Caller, world: World) -> None:
    tokens = []
    for agentid in range(1, 6):
        world.add_app(PARENT.corpid, agentid, f"secret {agentid}")
        tokens.append((await wecom.gettoken(corpsecret=f"secret {agentid}"))["access_token"])

    assert [] == [errcode for token in tokens[:4] for errcode in await refusals(wecom, token, 100)]
    assert [45009] == await refusals(wecom, tokens[4], 1)
    assert [] == await refusals(wecom, await wecom.child_token(), 1)


async def test_a_call_that_is_refused_before_counts_for_nothing(wecom: Caller, world: World) -> None:
    world.settings.tickets_an_hour_of_an_app = 1
    token = await wecom.token()
    await wecom.get(CORP_TICKET, access_token="invented")
    await wecom.corp_ticket(token, type="jsapi")

    assert [] == await refusals(wecom, token, 1, "corp")


async def test_a_share_s_kind_makes_no_difference_to_its_tickets(wecom: Caller, world: World) -> None:
    world.share(PARENT, CHILD_APP, BusinessType.SUPPLY_CHAIN)
    group, chain = await wecom.child_token(), await wecom.child_token(business_type=1)

    assert group != chain
    assert (await wecom.agent_ticket(group))["ticket"] == (await wecom.agent_ticket(chain))["ticket"]


async def test_limits_and_tickets_are_driven_from_outside(wecom: Caller) -> None:
    token = await wecom.token()
    await wecom.agent_ticket(token)
    killed = await wecom.control("POST", "kill_tickets", {**CHILD, "kind": "agent"})
    settings = {"tickets_an_hour_of_an_app": 0, "tickets_count_together": True, "ticket_lifetime": 9}

    assert (200, {"killed": 0}) == killed
    parent = {"corpid": PARENT.corpid, "agentid": PARENT.agentid, "kind": "agent"}
    assert (200, {"killed": 1}) == await wecom.control("POST", "kill_tickets", parent)
    assert 200 == (await wecom.control("POST", "settings", settings))[0]
    assert 45009 == (await wecom.agent_ticket(token))["errcode"]

    await wecom.control("POST", "settings", {"tickets_an_hour_of_an_app": 1})
    await wecom.control("DELETE", "quotas")
    assert 9 == (await wecom.agent_ticket(token))["expires_in"]
