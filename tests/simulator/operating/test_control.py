"""The control API over HTTP."""

import json

import pytest

from broker.simulator import (
    Delay,
    Errcode,
    Habit,
    Hang,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Truncated,
    World,
    demo,
)
from broker.simulator.world.faults import Fault
from tests.simulator.caller import CHILD, GETTOKEN, Caller, Json

PARENT = {"parent_corpid": demo.PARENT.corpid, "parent_agentid": demo.PARENT.agentid}


async def test_calls_are_counted_and_cleared(wecom: Caller) -> None:
    await wecom.gettoken()
    await wecom.gettoken(corpid="ww0nobody")
    _, read = await wecom.control("GET", "calls")

    assert 2 == read["total"]
    assert {
        GETTOKEN: {"calls": 2, "in_flight": 0, "max_in_flight": 1, "errcodes": {"0": 1, "40013": 1}}
    } == read["endpoints"]
    assert [40013, 0] == [record["errcode"] for record in read["recent"]]
    assert demo.SECRET not in json.dumps(read)

    await wecom.control("DELETE", "calls")

    assert (200, {"total": 0, "endpoints": {}, "codes": {}, "recent": []}) == await wecom.control(
        "GET", "calls"
    )


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"kind": "delay", "seconds": 0.5}, Delay(0.5)),
        ({"kind": "errcode", "errcode": -1}, Errcode(-1)),
        ({"kind": "errcode", "errcode": 45009, "errmsg": "slow"}, Errcode(45009, "slow")),
        ({"kind": "status", "status": 503}, HttpStatus(503)),
        ({"kind": "reset"}, Reset()),
        ({"kind": "reset", "takes_effect": True}, Reset(takes_effect=True)),
        ({"kind": "truncated"}, Truncated()),
        ({"kind": "hang"}, Hang()),
        ({"kind": "junk"}, Junk()),
        ({"kind": "junk", "junk": "empty"}, Junk(JunkKind.EMPTY)),
    ],
)
async def test_every_kind_of_fault_can_be_added(
    wecom: Caller, world: World, body: Json, fault: Fault
) -> None:
    status, _ = await wecom.control("POST", "faults", {"endpoint": "gettoken", **body})
    rule = world.faults.rules[0]

    assert 200 == status
    assert (GETTOKEN, fault, None, 0) == (rule.path, rule.fault, rule.times, rule.after)


async def test_a_fault_is_limited_and_cleared(wecom: Caller, world: World) -> None:
    await wecom.control("POST", "faults", {"kind": "errcode", "errcode": -1, "times": 1, "after": 1})
    await wecom.control("POST", "faults", {"kind": "hang", "endpoint": "agent/get", "times": None})

    assert [0, -1, 0] == [(await wecom.gettoken())["errcode"] for _ in range(3)]
    assert 1 == len(world.faults.rules)

    await wecom.control("DELETE", "faults", {"endpoint": "agent/get"})
    assert [] == world.faults.rules


async def test_a_token_or_all_tokens_of_an_app_are_killed(wecom: Caller) -> None:
    token = await wecom.token()

    assert (200, {"killed": 1}) == await wecom.control("POST", "kill", {"token": token})
    assert 40014 == await wecom.probe(token)

    child = (await wecom.child_gettoken())["access_token"]

    assert (200, {"killed": 1}) == await wecom.control("POST", "kill", CHILD)
    assert 40014 == await wecom.probe(child, agentid=1000010)


async def test_an_app_is_shared_confirmed_and_unshared(wecom: Caller) -> None:
    child = {"corpid": "ww7new", "agentid": 1000077}
    share = {**PARENT, **child, "corp_name": "新公司", "business_type": 1, "confirmed": False}
    ask = {**child, "business_type": 1}

    assert 200 == (await wecom.control("POST", "shares", share))[0]
    assert 670001 == (await wecom.child_gettoken(**ask))["errcode"]

    await wecom.control("POST", "shares", {**share, "confirmed": True})
    assert 0 == (await wecom.child_gettoken(**ask))["errcode"]

    unshare = {**PARENT, **ask}
    assert (200, {"removed": True}) == await wecom.control("DELETE", "shares", unshare)
    assert (200, {"removed": False}) == await wecom.control("DELETE", "shares", unshare)
    assert 670001 == (await wecom.child_gettoken(**ask))["errcode"]


async def test_habits_settings_and_time_are_changed(wecom: Caller, world: World) -> None:
    await wecom.control("POST", "habit", {"habit": "new_value_kills_old"})
    await wecom.control("POST", "habit", {"habit": "same_value_remaining", "endpoint": "corp/gettoken"})
    changes = {
        "token_lifetime": 1.5,
        "old_value_alive": None,
        "expiry_errcode": 40014,
        "wrong_secret_limit": 2,
        "ban_covers_everything": True,
        "omit_errcode": ["gettoken"],
    }
    status, settings = await wecom.control("POST", "settings", changes)

    assert 200 == status
    assert {**changes, "omit_errcode": [GETTOKEN]} == {name: settings[name] for name in changes}
    assert Habit.NEW_VALUE_KILLS_OLD is world.settings.habit_of(GETTOKEN)
    assert Habit.SAME_VALUE_REMAINING is world.settings.habit_of("/cgi-bin/corpgroup/corp/gettoken")

    token = await wecom.token()
    await wecom.control("POST", "clock", {"seconds": 1.5})

    assert 40014 == await wecom.probe(token)


async def test_quotas_and_bans_are_set_and_lifted(wecom: Caller) -> None:
    await wecom.control("POST", "quotas", {"endpoint": "gettoken", "limit": 0})
    assert 45009 == (await wecom.gettoken())["errcode"]

    await wecom.control("DELETE", "quotas")
    await wecom.control("POST", "settings", {"wrong_secret_limit": 1})
    await wecom.gettoken(corpsecret="wrong")
    assert 45009 == (await wecom.gettoken())["errcode"]

    await wecom.control("DELETE", "bans")
    assert 0 == (await wecom.gettoken())["errcode"]


async def test_an_app_is_stopped_and_its_secret_reset(wecom: Caller) -> None:
    app = {"corpid": demo.PARENT.corpid, "agentid": demo.PARENT.agentid}
    await wecom.control("POST", "apps", {**app, "enabled": False, "secret": "a new one"})
    assert 50003 == (await wecom.gettoken(corpsecret="a new one"))["errcode"]

    await wecom.control("POST", "apps", {**app, "enabled": True, "trusted_ips": ["203.0.113.7"]})
    assert 60020 == (await wecom.gettoken(corpsecret="a new one"))["errcode"]

    await wecom.control("POST", "apps", {**app, "trusted_ips": None})
    assert 0 == (await wecom.gettoken(corpsecret="a new one"))["errcode"]
    assert 40001 == (await wecom.gettoken())["errcode"]


async def test_a_corp_is_founded_and_dissolved(wecom: Caller) -> None:
    await wecom.control("POST", "corps", {"corpid": "ww8other", "name": "另一家"})
    await wecom.control("POST", "apps", {"corpid": "ww8other", "agentid": 1, "secret": "other"})
    assert 0 == (await wecom.gettoken("ww8other", "other"))["errcode"]

    await wecom.control("POST", "corps", {"corpid": "ww8other", "dissolved": True})
    assert 301007 == (await wecom.gettoken("ww8other", "other"))["errcode"]


async def test_the_world_is_shown_without_secrets(wecom: Caller) -> None:
    token = await wecom.token()
    _, shown = await wecom.control("GET", "world")
    parent = shown["corps"][0]

    assert (demo.PARENT.corpid, "示例集团") == (parent["corpid"], parent["name"])
    assert [(1000002, 1)] == [(app["agentid"], app["living_tokens"]) for app in parent["apps"]]
    assert {**PARENT, **CHILD, "business_type": 0, "confirmed": True} == shown["shares"][0]
    assert 6 == len(shown["shares"])
    assert demo.SECRET not in json.dumps(shown)
    assert token not in json.dumps(shown)


@pytest.mark.parametrize(
    ("method", "name", "body", "field"),
    [
        ("POST", "faults", {"endpoint": "nothing", "kind": "reset"}, "endpoint"),
        ("POST", "faults", {}, "kind"),
        ("POST", "faults", {"kind": "meteor"}, "kind"),
        ("POST", "faults", {"kind": "delay"}, "seconds"),
        ("POST", "faults", {"kind": "delay", "seconds": -1}, "seconds"),
        ("POST", "faults", {"kind": "delay", "seconds": True}, "seconds"),
        ("POST", "faults", {"kind": "errcode", "errcode": "1"}, "errcode"),
        ("POST", "faults", {"kind": "status", "status": 99}, "status"),
        ("POST", "faults", {"kind": "junk", "junk": "mail"}, "junk"),
        ("POST", "faults", {"kind": "reset", "times": 0}, "times"),
        ("POST", "faults", {"kind": "reset", "after": -1}, "after"),
        ("POST", "faults", {"kind": "reset", "seconds": 1}, "seconds"),
        ("POST", "kill", {"corpid": "ww"}, "agentid"),
        ("POST", "kill", {"token": ""}, "token"),
        ("POST", "shares", {**PARENT, **CHILD, "parent_agentid": 5}, "parent_corpid, parent_agentid"),
        ("POST", "shares", {**PARENT, **CHILD, "business_type": 2}, "business_type"),
        ("POST", "shares", {**PARENT, **CHILD, "confirmed": 1}, "confirmed"),
        ("POST", "habit", {"habit": "new_value"}, "habit"),
        ("POST", "habit", {"habit": []}, "habit"),
        ("POST", "settings", {"token_lifetime": 0}, "token_lifetime"),
        ("POST", "settings", {"expiry_errcode": 40001}, "expiry_errcode"),
        ("POST", "settings", {"omit_errcode": "gettoken"}, "omit_errcode"),
        ("POST", "settings", {"omit_errcode": ["nothing"]}, "omit_errcode"),
        ("POST", "settings", {"token_lifetimes": 1}, "token_lifetimes"),
        ("POST", "quotas", {"limit": 1}, "endpoint"),
        ("POST", "apps", {"corpid": "ww9nobody", "agentid": 1}, "corpid"),
        ("POST", "clock", {"seconds": "1"}, "seconds"),
        ("GET", "world", {"secrets": True}, "secrets"),
    ],
)
async def test_a_mistake_is_answered_with_the_name_of_its_field(
    wecom: Caller, method: str, name: str, body: Json, field: str
) -> None:
    status, answer = await wecom.control(method, name, body)

    assert (400, field) == (status, answer["field"])
    assert answer["error"].startswith(f"{field}: ")


async def test_a_mistake_changes_nothing(wecom: Caller, world: World) -> None:
    await wecom.control("POST", "settings", {"token_lifetime": 5, "expiry_errcode": 1})

    assert 7200 == world.settings.token_lifetime


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_object_is_a_mistake(wecom: Caller, body: bytes) -> None:
    async with wecom.session.post("/_simulator/faults", data=body) as response:
        assert 400 == response.status
        assert "body" == (await response.json())["field"]
