"""get_suite_token and get_provider_token, and what their tokens are good for."""

import pytest

from broker.simulator import Habit, World
from broker.simulator import provider_demo as demo
from tests.simulator.caller import GETTOKEN, FakeClock
from tests.simulator.suites.acme import CORP_TOKEN, PARENT, PROVIDER_TOKEN, SUITE_TOKEN, Acme

PRE_AUTH_CODE = "/cgi-bin/service/get_pre_auth_code"
OPEN_CORPID = "/cgi-bin/service/corpid_to_opencorpid"


async def probe(acme: Acme, token: str) -> int:
    return int((await acme.wecom.get(PRE_AUTH_CODE, suite_access_token=token))["errcode"])


async def test_a_suite_token_is_granted_without_an_errcode(acme: Acme) -> None:
    granted = await acme.get_suite_token()

    assert ["suite_access_token", "expires_in"] == list(granted)
    assert 7200 == granted["expires_in"]
    assert 150 < len(granted["suite_access_token"]) <= 512
    assert 0 == await probe(acme, granted["suite_access_token"])


async def test_an_errcode_may_be_there_all_the_same(acme: Acme, world: World) -> None:
    world.settings.omit_errcode.clear()

    assert 0 == (await acme.get_suite_token())["errcode"]
    assert 0 == (await acme.get_provider_token())["errcode"]


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"suite_id": ""}, 41021),
        ({"suite_secret": ""}, 41024),
        ({"suite_ticket": ""}, 41023),
        ({"suite_id": "ww0nothing"}, 40083),
        ({"suite_id": demo.MARKET.upper()}, 40083),
        ({"suite_secret": "wrong"}, 40080),
        ({"suite_secret": demo.TAILORED_SECRET}, 40080),
        ({"suite_ticket": "invented"}, 40085),
        ({"suite_ticket": 7}, 40058),
    ],
)
async def test_what_is_missing_or_wrong_is_named(acme: Acme, fields: dict[str, object], errcode: int) -> None:
    assert errcode == (await acme.get_suite_token(**fields))["errcode"]


async def test_a_ticket_is_its_suites_alone(acme: Acme, world: World) -> None:
    ticket = world.console.tickets.push("tailored")

    assert 40085 == (await acme.get_suite_token(suite_ticket=ticket))["errcode"]
    assert "suite_access_token" in await acme.get_suite_token("tailored", suite_ticket=ticket)


async def test_a_ticket_is_good_for_half_an_hour(acme: Acme, world: World, clock: FakeClock) -> None:
    world.settings.suite_tickets_accepted = None
    ticket = world.console.tickets.push("market")

    clock.now += 1799.9
    assert "expires_in" in await acme.get_suite_token(suite_ticket=ticket)

    clock.now += 0.1
    assert 40085 == (await acme.get_suite_token(suite_ticket=ticket))["errcode"]


async def test_two_newer_tickets_may_have_been_missed_but_not_three(acme: Acme, world: World) -> None:
    ticket = world.console.tickets.push("market")
    body = {
        "suite_id": demo.MARKET,
        "suite_secret": demo.MARKET_SECRET,
        "suite_ticket": ticket,
    }
    world.console.tickets.lose("market", 3)

    answers = []
    for _ in range(3):
        world.console.tickets.push("market")
        answers.append((await acme.wecom.post(SUITE_TOKEN, body)).get("errcode"))

    assert [None, None, 40085] == answers


async def test_a_provider_token_is_granted(acme: Acme) -> None:
    granted = await acme.get_provider_token()

    assert ["provider_access_token", "expires_in"] == list(granted)
    assert granted == await acme.get_provider_token()


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"corpid": ""}, 41002),
        ({"provider_secret": ""}, 41004),
        ({"corpid": PARENT}, 40013),
        ({"provider_secret": "wrong"}, 40001),
    ],
)
async def test_what_is_wrong_for_a_provider_is_named(
    acme: Acme, fields: dict[str, object], errcode: int
) -> None:
    assert errcode == (await acme.get_provider_token(**fields))["errcode"]


async def test_each_token_goes_under_its_own_name(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    suite, provider = await acme.suite_token(), await acme.provider_token()
    corp = await acme.corp_token()

    wrong = {
        "suite": await acme.wecom.get(PRE_AUTH_CODE, suite_access_token=provider),
        "suite by a corp's": await acme.wecom.get(PRE_AUTH_CODE, suite_access_token=corp),
        "provider": await acme.wecom.post(OPEN_CORPID, {"corpid": PARENT}, provider_access_token=suite),
        "corp": await acme.wecom.get("/cgi-bin/agent/list", access_token=suite),
        "other name": await acme.wecom.get(PRE_AUTH_CODE, access_token=suite),
    }

    assert {
        "suite": 40082,
        "suite by a corp's": 40082,
        "provider": 40082,
        "corp": 40014,
        "other name": 41022,
    } == {name: answer["errcode"] for name, answer in wrong.items()}


async def test_a_suite_token_that_has_expired_is_told_from_a_dead_one(
    acme: Acme, world: World, clock: FakeClock
) -> None:
    token = await acme.suite_token()
    clock.now += 7200
    assert 42009 == await probe(acme, token)

    token = await acme.suite_token()
    assert world.kill(token)
    assert 40082 == await probe(acme, token)


async def test_repeats_are_answered_by_habit(acme: Acme, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_KILLS_OLD, "get_suite_token")
    first, second = await acme.suite_token(), await acme.suite_token()

    assert [40082, 0] == [await probe(acme, first), await probe(acme, second)]
    assert await acme.provider_token() == await acme.provider_token()


async def test_a_provider_trusts_its_own_addresses_only(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    suite, corp = await acme.suite_token(), await acme.corp_token()
    world.suites.provider("acme").trusted_ips = frozenset({"203.0.113.7"})

    assert 60020 == (await acme.get_suite_token())["errcode"]
    assert 60020 == (await acme.get_provider_token())["errcode"]
    assert 60020 == await probe(acme, suite)
    assert 60020 == (await acme.wecom.get("/cgi-bin/agent/list", access_token=corp))["errcode"]


async def test_wrong_secrets_ban_the_address(acme: Acme) -> None:
    answers = [(await acme.get_suite_token(suite_secret="wrong"))["errcode"] for _ in range(6)]

    assert [40080] * 5 + [45009] == answers
    assert 45009 == (await acme.get_provider_token())["errcode"]


async def test_no_secret_is_kept_in_the_log(acme: Acme, world: World) -> None:
    world.console.install("market", PARENT)
    suite, corp, provider = await acme.suite_token(), await acme.corp_token(), await acme.provider_token()
    await acme.wecom.get(PRE_AUTH_CODE, suite_access_token=suite)
    kept = repr(list(world.log.records))

    assert {SUITE_TOKEN, PROVIDER_TOKEN, CORP_TOKEN} <= set(world.log.paths())
    assert GETTOKEN not in world.log.paths()
    code = world.suites.authorization("market", PARENT).permanent_code
    for secret in (suite, corp, provider, code, demo.MARKET_SECRET, demo.PROVIDER_SECRET):
        assert secret not in kept
