"""gettoken, and what a token is good for."""

import pytest

from broker.simulator import World, demo
from tests.simulator.caller import GETTOKEN, Caller, FakeClock


async def test_a_token_is_granted_for_the_right_secret(wecom: Caller) -> None:
    granted = await wecom.gettoken()

    assert ["errcode", "errmsg", "access_token", "expires_in"] == list(granted)
    assert 7200 == granted["expires_in"]
    assert 150 < len(granted["access_token"]) <= 512
    assert demo.SECRET not in granted["access_token"]
    assert 0 == await wecom.probe(granted["access_token"])


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ({}, 41002),
        ({"corpid": demo.PARENT.corpid}, 41004),
        ({"corpid": "ww0nobody", "corpsecret": demo.SECRET}, 40013),
        ({"corpid": demo.PARENT.corpid, "corpsecret": "wrong"}, 40001),
        ({"corpid": "ww1child000000001", "corpsecret": demo.SECRET}, 40091),
    ],
)
async def test_what_is_missing_or_wrong_is_named(wecom: Caller, query: dict[str, str], errcode: int) -> None:
    assert errcode == (await wecom.get(GETTOKEN, **query))["errcode"]


async def test_a_plain_corpid_is_compared_without_regard_to_case(wecom: Caller) -> None:
    assert 0 == (await wecom.gettoken(corpid=demo.PARENT.corpid.upper()))["errcode"]


async def test_a_token_of_one_app_may_not_act_on_another(wecom: Caller) -> None:
    assert 301002 == await wecom.probe(await wecom.token(), agentid=1000003)


@pytest.mark.parametrize("agentid", ["1000002x", "-1", "９", "9" * 5000])
async def test_an_agentid_in_the_query_is_made_of_digits(wecom: Caller, agentid: str) -> None:
    assert 40056 == await wecom.probe(await wecom.token(), agentid=agentid)


async def test_a_token_expires_on_its_second(wecom: Caller, clock: FakeClock) -> None:
    token = await wecom.token()

    clock.now += 7199.9
    assert 0 == await wecom.probe(token)

    clock.now += 0.1
    assert 42001 == await wecom.probe(token)


async def test_expiry_may_be_answered_as_an_invalid_token(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    world.settings.expiry_errcode = 40014
    token = await wecom.token()
    clock.now += 7200

    assert 40014 == await wecom.probe(token)


@pytest.mark.parametrize(("lifetime", "expires_in"), [(10, 10), (1.5, 1), (0.25, 1)])
async def test_a_lifetime_may_be_a_fraction_but_expires_in_is_whole(
    wecom: Caller, world: World, clock: FakeClock, lifetime: float, expires_in: int
) -> None:
    world.settings.token_lifetime = lifetime
    granted = await wecom.gettoken()
    clock.now += lifetime

    assert expires_in == granted["expires_in"]
    assert isinstance(granted["expires_in"], int)
    assert 42001 == await wecom.probe(granted["access_token"])


async def test_a_killed_token_is_dead_before_its_expiry(wecom: Caller, world: World) -> None:
    token = await wecom.token()

    assert world.kill(token)
    assert 40014 == await wecom.probe(token)
    assert not world.kill("invented")


async def test_all_tokens_of_an_app_can_be_killed_and_a_fetch_gives_a_new_one(
    wecom: Caller, world: World
) -> None:
    world.settings.death_errcode = 42001
    token = await wecom.token()

    assert 1 == world.kill_app(*demo.PARENT)
    assert 42001 == await wecom.probe(token)
    assert token != await wecom.token()


async def test_time_can_pass_in_the_world_alone(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    world.advance(7200)

    assert 42001 == await wecom.probe(token)


async def test_the_list_of_apps_names_the_app_of_the_token(wecom: Caller) -> None:
    listed = await wecom.get("/cgi-bin/agent/list", access_token=await wecom.token())

    assert [1000002] == [agent["agentid"] for agent in listed["agentlist"]]


@pytest.mark.parametrize("name", ["getcallbackip", "get_api_domain_ip"])
async def test_addresses_are_listed(wecom: Caller, name: str) -> None:
    assert "127.0.0.1" in (await wecom.get(f"/cgi-bin/{name}", access_token=await wecom.token()))["ip_list"]


@pytest.mark.parametrize(
    ("userid", "errcode"),
    [("ZhangSan", 0), ("nobody", 60111), ("ww1child000000001/lisi", 40003), ("", 41009)],
)
async def test_a_member_is_found_by_a_userid_of_the_own_corp(
    wecom: Caller, userid: str, errcode: int
) -> None:
    answer = await wecom.get("/cgi-bin/user/get", access_token=await wecom.token(), userid=userid)

    assert errcode == answer["errcode"]


async def test_a_child_token_reads_members_of_the_child(wecom: Caller) -> None:
    token = (await wecom.child_gettoken())["access_token"]
    member = await wecom.get("/cgi-bin/user/get", access_token=token, userid="lisi")

    assert "李四" == member["name"]
    assert "mobile" not in member


async def test_the_addresses_of_callbacks_may_be_patterns(wecom: Caller) -> None:
    addresses = ["101.226.103.*", "127.0.0.1"]
    await wecom.control("POST", "settings", {"callback_ips": addresses})
    answer = await wecom.get("/cgi-bin/getcallbackip", access_token=await wecom.token())

    assert addresses == answer["ip_list"]
