"""The console over the control API."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from broker.simulator import World, demo_world, running_simulator
from broker.simulator import provider_demo as demo
from broker.simulator.crypto import CallbackKeys
from broker.simulator.world.call_log import digest
from tests.kit.callbacks.sender import DEMO_KEYS
from tests.simulator.callbacks.receiver import KEYS_BY_PATH, Receiver, running_receiver
from tests.simulator.caller import Caller, Json
from tests.simulator.suites.acme import CHILD, PARENT, SUITE_TOKEN, Acme
from tests.simulator.suites.told import Told

MARKET = {"suite": "market", "corpid": PARENT}
TAILORED = {"suite": "tailored", "corpid": PARENT}


@pytest.fixture
async def control(acme: Acme, told: Told) -> Caller:
    return acme.wecom


async def done(control: Caller, name: str, /, **fields: object) -> Json:
    """Ask for an action that has to succeed."""
    status, answer = await control.control("POST", name, fields)
    assert 200 == status, answer
    return answer


async def suite(control: Caller, name: str = "market") -> Json:
    _, read = await control.control("GET", "suites")
    return next(each for each in read["suites"] if each["name"] == name)


@pytest.fixture
async def empty() -> AsyncIterator[Caller]:
    async with running_simulator(World()) as url, aiohttp.ClientSession(url) as session:
        yield Caller(session)


async def test_a_world_is_made_with_a_provider_and_suites(empty: Caller) -> None:
    await done(empty, "providers", corp_id="ww1", secret="s1", name="other", trusted_ips=["127.0.0.1"])
    await done(empty, "suites", suite_id="dk1", secret="s2", provider="other", name="made", kind="customized")
    await done(empty, "corps", corpid="ww9corp", name="企业")
    made = await done(empty, "suites/install", suite="made", corpid="ww9corp")
    (listed,) = (await suite(empty, "made"))["authorizations"]

    assert made["corpid"] == listed["corpid"] != listed["plain_corpid"] == "ww9corp"
    assert (True, False, None) == (listed["active"], listed["exchanged"], listed["shared_from"])


async def test_the_demo_is_added_to_any_world_by_one_call() -> None:
    world = demo_world()
    async with (
        running_receiver() as receiver,
        running_simulator(world) as url,
        aiohttp.ClientSession(url) as session,
    ):
        receiver.keys_by_path = KEYS_BY_PATH
        wecom, base = Caller(session), receiver.url.removesuffix("/crm")
        added = await done(wecom, "suites/demo", children=2, callback_base=base)
        await done(wecom, "suites/install", suite="market", corpid=added["parent"])
        await done(
            wecom,
            "suites/install_by_share",
            suite="market",
            parent_corpid=added["parent"],
            corpids=added["children"],
        )
        await world.callbacks.outbox.settled()

    assert demo.children(2) == added["children"]
    # A broker refuses two URLs with the same keys.
    keys = [(added[name]["token"], added[name]["aes_key"]) for name in ("provider", "market", "tailored")]
    assert 3 == len(set(keys))
    assert ["/callback/market"] * 4 == [got.path for got in receiver.got]
    assert ["create_auth"] * 3 + ["share_agent_change"] == sorted(
        got.text("InfoType") for got in receiver.got
    )


async def test_the_life_of_a_third_party_app(control: Caller, acme: Acme, told: Told) -> None:
    installed = await done(control, "suites/install", **MARKET, by="qr", state="s1")
    await acme.exchange(installed["auth_code"])
    share = {"suite": "market", "parent_corpid": PARENT, "corpids": [CHILD]}
    (child,) = (await done(control, "suites/install_by_share", **share))["installs"]
    await done(control, "suites/edition", **MARKET, edition_id="RLS7", user_limit=3)
    await done(control, "suites/permission", **MARKET, permission="p", happening="authorize", seconds=60)
    await done(control, "suites/permission", **MARKET, permission="p", happening="remind")
    await done(control, "suites/permission", **MARKET, permission="p", happening="end")
    await done(control, "suites/change", **MARKET)
    await done(control, "suites/unshare", **share)
    names = await told.names()
    parent, gone = (await suite(control))["authorizations"]
    await done(control, "suites/cancel", **MARKET)

    assert {
        "create_auth": 2,
        "share_agent_change": 2,
        "change_editon": 2,
        "auth_data_permission": 1,
        "expire_remind_data_permission": 1,
        "change_auth": 2,
        "cancel_auth": 1,
    } == {name: names.count(name) for name in set(names)}
    assert (True, True, "RLS7") == (parent["active"], parent["exchanged"], parent["edition"])
    assert {"p": 1_800_000_000} == parent["permissions"]
    assert (False, PARENT, child["corpid"]) == (gone["active"], gone["shared_from"], gone["corpid"])
    assert ["cancel_auth"] == await told.names()


async def test_an_install_by_link(control: Caller, acme: Acme) -> None:
    path, token = "/cgi-bin/service/get_pre_auth_code", await acme.suite_token()
    code = (await control.get(path, suite_access_token=token))["pre_auth_code"]
    url = f"https://h/3rdapp/install?suite_id={demo.MARKET}&pre_auth_code={code}&redirect_uri=https://b/&state=s"
    made = await done(control, "suites/install_by_link", url=url, corpid=PARENT)

    assert made["redirect"].startswith("https://b/?auth_code=")
    assert made["auth_code"] in made["redirect"]


async def test_the_life_of_a_customized_app(control: Caller, acme: Acme, told: Told) -> None:
    first = await done(control, "suites/install", **TAILORED)
    old = (await acme.exchange(first["auth_code"], "tailored"))["permanent_code"]
    second = await done(control, "suites/reset", **TAILORED)
    new = (await acme.exchange(second["auth_code"], "tailored"))["permanent_code"]
    await done(control, "suites/cancel", **TAILORED)
    renamed = await done(control, "suites/new_corpid", provider="acme", corpid=PARENT)

    assert old != new
    assert first["corpid"] == second["corpid"] != renamed["corpid"]
    assert ["create_auth", "reset_permanent_code", "cancel_auth"] == await told.names()


async def test_a_provider_that_is_changed_knows_corps_by_the_same_ids(control: Caller) -> None:
    before = await done(control, "suites/new_corpid", provider="acme", corpid=PARENT)
    changed = {"corp_id": demo.PROVIDER, "secret": "another", "name": "acme"}
    await done(control, "providers", **changed, trusted_ips=["203.0.113.7"])
    made = await done(control, "suites/install", **MARKET)
    _, read = await control.control("GET", "suites")

    assert before["corpid"] == made["corpid"]
    assert ["203.0.113.7"] == read["providers"][0]["trusted_ips"]


async def test_codes_are_counted_under_their_digests(control: Caller, acme: Acme) -> None:
    made = await done(control, "suites/install", **MARKET)
    for _ in range(2):
        await acme.exchange(made["auth_code"])
    _, calls = await control.control("GET", "calls")
    ((code,),) = [each["codes"] for each in (await suite(control))["authorizations"]]

    assert 2 == calls["codes"][digest(made["auth_code"])]
    assert ("install", True, 2) == (code["purpose"], code["used"], code["times_sent"])
    assert digest(made["auth_code"]) == code["digest"]


async def test_no_secret_can_be_read(control: Caller, acme: Acme) -> None:
    made = await done(control, "suites/install", **TAILORED)
    await acme.exchange(made["auth_code"], "tailored")
    read = [
        await control.control("GET", name) for name in ("suites", "suites/events", "world", "calls", "events")
    ]

    secrets = [acme.world.suites.authorization("tailored", PARENT).permanent_code, made["auth_code"]]
    for secret in (*secrets, demo.PROVIDER_SECRET, demo.MARKET_SECRET, demo.TAILORED_SECRET):
        assert secret not in json.dumps(read)


async def test_tickets_are_pushed_lost_and_late(control: Caller, told: Told) -> None:
    await done(control, "suites/ticket", suite="market", count=3)
    assert ["suite_ticket"] * 3 == await told.names()

    await done(control, "suites/ticket_loss", suite="market", count=2)
    await done(control, "suites/ticket", suite="market", count=2)
    assert [] == await told.names()

    await done(control, "suites/ticket_delay", suite="market")
    await done(control, "suites/ticket", suite="market")
    assert {"released": 1} == await done(control, "suites/ticket_release", suite="market")
    assert ["suite_ticket"] == await told.names()


async def test_an_interval_is_set_and_stopped(told: Told) -> None:
    # The simulated WeCom waits in real time here: the world of the fixtures never does.
    world = demo.provider_world(1)
    async with running_simulator(world) as url, aiohttp.ClientSession(url) as session:
        await done(Caller(session), "suites/ticket_interval", suite="market", seconds=3600)
        base = told.receiver.url.removesuffix("/crm")
        told.receiver.keys_by_path = KEYS_BY_PATH
        await done(Caller(session), "suites/demo", callback_base=base)
        await done(Caller(session), "suites/ticket_interval", seconds=3500)
        while len(told.receiver.got) < 2:
            await asyncio.sleep(0.001)
        await done(Caller(session), "suites/ticket_interval", seconds=None)

    assert {demo.MARKET, demo.TAILORED} == {got.text("SuiteId") for got in told.receiver.got}


async def test_events_are_sent_and_read_with_every_answer(control: Caller, told: Told) -> None:
    await done(control, "suites/install", **MARKET)
    await told.all()
    told.receiver.answers = [web.Response(text="ok")]
    sent = await done(control, "suites/events", **MARKET, event="corp_arch_auth")
    _, read = await control.control("GET", "suites/events")
    first, second = sent["attempts"]

    assert (True, "corp_arch_auth", demo.MARKET) == (sent["accepted"], sent["event"], sent["suite_id"])
    assert [(200, "ok", False), (200, "success", True)] == [
        (attempt["status"], attempt["body"], attempt["success"]) for attempt in (first, second)
    ]
    assert 0 < second["seconds"] < 5
    assert [sent["event"], "create_auth"] == [each["event"] for each in read["events"]]


async def test_the_providers_own_url(control: Caller, told: Told) -> None:
    sent = await done(control, "providers/events", provider="acme", event="license_refund", corpid=PARENT)
    got = await told.one()

    assert sent["accepted"]
    assert ("/callback/acme", demo.PROVIDER) == (got.path, got.receive_id)
    assert (await done(control, "providers/verify_url", provider="acme"))["passed"]
    assert [demo.PROVIDER] == told.receiver.verified_for


async def test_urls_are_verified_for_the_provider(control: Caller, told: Told) -> None:
    await done(control, "suites/install", **TAILORED)
    asked = [
        {"suite": "market", "channel": "command"},
        {"suite": "market", "channel": "data"},
        {**TAILORED, "channel": "app"},
        {**TAILORED, "channel": "app", "receive_id": "wp1"},
    ]
    for fields in asked:
        assert (await done(control, "suites/verify_url", **fields))["passed"]

    assert [demo.PROVIDER] * 3 + ["wp1"] == told.receiver.verified_for


async def test_a_customized_app_may_have_a_url_and_keys_of_its_own_in_a_corp(
    control: Caller, told: Told
) -> None:
    aes_key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
    assert CallbackKeys("OwnToken", aes_key)
    for corpid in (PARENT, CHILD):
        await done(control, "suites/install", suite="tailored", corpid=corpid)
    await told.all()
    keys = type(DEMO_KEYS)(type(DEMO_KEYS.token)("OwnToken"), type(DEMO_KEYS.token)(aes_key))
    async with running_receiver(Receiver, keys) as own:
        fields = {"channel": "app", "url": own.url, "token": "OwnToken", "aes_key": aes_key}
        await done(control, "suites/callback", **TAILORED, **fields)
        for corpid in (PARENT, CHILD):
            sent = await done(control, "suites/events", suite="tailored", corpid=corpid, event="enter_agent")
            assert sent["accepted"]

    world = told.world
    assert [world.suites.corpid("tailored", PARENT)] == [got.receive_id for got in own.got]
    assert [world.suites.corpid("tailored", CHILD)] == [got.receive_id for got in await told.all()]


async def test_tokens_are_killed(control: Caller, acme: Acme) -> None:
    await done(control, "suites/install", **MARKET)
    await acme.corp_token()
    await acme.provider_token()

    assert {"killed": 1} == await done(control, "suites/kill", suite="market")
    assert {"killed": 1} == await done(control, "suites/kill", **MARKET)
    assert {"killed": 1} == await done(control, "providers/kill", provider="acme")


async def test_people_log_in(control: Caller) -> None:
    await done(control, "suites/install", **MARKET)
    codes = [
        await done(control, "suites/login_codes", **MARKET, userid="zhangsan", privateinfo=True),
        await done(control, "suites/js_codes", **MARKET, userid="zhangsan"),
        await done(control, "suites/visitor_codes", suite="market", openid="o1"),
    ]

    assert all(answer["code"] for answer in codes)


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("suites", {"suite_id": "ww1", "secret": "s", "provider": "nobody"}, "provider"),
        ("suites/install", {"suite": "nothing", "corpid": PARENT}, "suite, corpid, by, state"),
        ("suites/install", {"suite": "market", "corpid": "ww0"}, "suite, corpid, by, state"),
        ("suites/install", {**TAILORED, "by": "market"}, "suite, corpid, by, state"),
        ("suites/install_by_link", {"url": "https://h/", "corpid": PARENT}, "url, corpid"),
        ("suites/cancel", MARKET, "suite, corpid"),
        ("suites/reset", MARKET, "suite, corpid"),
        (
            "suites/callback",
            {"suite": "market", "channel": "app", "url": "http://h/"},
            "suite, channel, corpid",
        ),
        ("suites/callback", {"suite": "market", "channel": "data", "url": "h"}, "url"),
        (
            "suites/callback",
            {"suite": "market", "channel": "data", "url": "http://h/", "aes_key": "x"},
            "aes_key",
        ),
        (
            "suites/events",
            {"suite": "market", "event": "auto_activate"},
            "suite, event, corpid, parent_corpid",
        ),
        ("suites/events", {"suite": "market", "event": "text"}, "suite, event, corpid, parent_corpid"),
        ("providers/events", {"provider": "acme", "event": "text"}, "provider, event, corpid"),
        ("suites/ticket", {"suite": "nothing"}, "suite"),
        ("suites/ticket_interval", {"suite": "market", "seconds": 0}, "suite, seconds"),
        ("suites/permission", {**MARKET, "permission": "p", "happening": "end"}, "suite, corpid, permission"),
        ("settings", {"cancelled_errcode": 40001}, "cancelled_errcode"),
        ("settings", {"old_secret_dies": "never"}, "old_secret_dies"),
    ],
)
async def test_a_mistake_is_named_and_nothing_changes(
    control: Caller, name: str, fields: Json, field: str
) -> None:
    before = await control.control("GET", "suites")
    status, answer = await control.control("POST", name, fields)

    assert (400, field) == (status, answer["field"])
    assert before == await control.control("GET", "suites")


async def test_settings_of_suites_can_be_changed(control: Caller) -> None:
    changes = {
        "suite_ticket_lifetime": 10.0,
        "suite_tickets_accepted": None,
        "suite_token_lifetime": 20.0,
        "provider_token_lifetime": 30.0,
        "expired_suite_token_errcode": 40082,
        "dead_suite_token_errcode": 42009,
        "auth_code_lifetime": 40.0,
        "pre_auth_code_lifetime": 50.0,
        "suite_user_ticket_lifetime": 60.0,
        "cancelled_errcode": 48004,
        "never_authorized_errcode": 48004,
        "old_secret_dies": "at_reset",
        "reinstall_keeps_permanent_code": True,
        "customized_share": "create_auth",
        "share_cdata": "without_ends",
        "create_auth_for_provider": True,
    }
    settings = await done(control, "settings", **changes)

    assert changes == {name: settings[name] for name in changes}


async def test_faults_strike_the_endpoints_of_suites_too(control: Caller, acme: Acme) -> None:
    await done(control, "faults", endpoint="get_suite_token", kind="errcode", errcode=45009)

    assert 45009 == (await acme.get_suite_token())["errcode"]
    assert 1 == acme.world.log.calls(SUITE_TOKEN)
