"""The page that shows a signature and checks it."""

import re

import pytest

from broker.domain.secret import Secret
from broker.protocol.js_sdk import sign_url
from broker.simulator import Habit, World, demo
from tests.simulator.caller import Caller

URL = "https://app.example.com/a?b=c&d=值"


def signed(ticket: str, kind: str, corp: str = demo.PARENT.corpid, agentid: int = 1000002) -> dict[str, str]:
    return {
        "corp": corp,
        "agentid": str(agentid),
        "kind": kind,
        "url": URL,
        "timestamp": "1800000000",
        "nonceStr": "Wm3WZYTPz0wzccnW",
        "signature": sign_url(Secret(ticket), "Wm3WZYTPz0wzccnW", 1800000000, URL),
    }


async def page(wecom: Caller, fields: dict[str, str]) -> str:
    async with wecom.session.get("/page", params=fields) as response:
        assert (200, "text/html", "utf-8") == (response.status, response.content_type, response.charset)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        return await response.text()


async def errcode(wecom: Caller, fields: dict[str, str]) -> int | None:
    found = re.search(r'data-errcode="(\d+)">', await page(wecom, fields))
    return int(found[1]) if found else None


@pytest.fixture
async def tickets(wecom: Caller) -> dict[str, str]:
    token, child = await wecom.token(), await wecom.child_token()
    return {
        "corp": (await wecom.corp_ticket(token))["ticket"],
        "agent": (await wecom.agent_ticket(token))["ticket"],
        "child": (await wecom.agent_ticket(child))["ticket"],
    }


async def test_a_good_signature_is_ok(wecom: Caller, tickets: dict[str, str]) -> None:
    text = await page(wecom, signed(tickets["corp"], "corp"))

    assert "OK: the signature fits a living ticket." in text
    assert 0 == await errcode(wecom, signed(tickets["agent"], "agent"))
    assert 0 == await errcode(wecom, {**signed(tickets["agent"], "agent"), "url": URL + "#/route"})
    assert 0 == await errcode(wecom, signed(tickets["child"], "agent", "ww1child000000001", 1000010))


async def test_a_corp_s_signature_needs_no_agentid(wecom: Caller, tickets: dict[str, str]) -> None:
    assert 0 == await errcode(wecom, {**signed(tickets["corp"], "corp"), "agentid": ""})


async def test_the_other_kind_of_ticket_is_told_apart(wecom: Caller, tickets: dict[str, str]) -> None:
    assert 42012 == await errcode(wecom, signed(tickets["corp"], "agent"))
    assert 42012 == await errcode(wecom, signed(tickets["agent"], "corp"))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"signature": "0" * 40},
        {"signature": ""},
        {"signature": "é"},
        {"url": URL + "x"},
        {"timestamp": "1800000001"},
        {"timestamp": "now"},
        {"timestamp": "9" * 5000},
        {"nonceStr": "wm3WZYTPz0wzccnW"},
        {"corp": "ww9nobody"},
        {"corp": "ww1child000000001"},
        {"agentid": "7"},
        {"agentid": "x"},
        {"kind": "both"},
    ],
)
async def test_anything_else_is_a_wrong_signature(
    wecom: Caller, tickets: dict[str, str], spoilt: dict[str, str]
) -> None:
    assert 40093 == await errcode(wecom, {**signed(tickets["agent"], "agent"), **spoilt})


async def test_every_ticket_that_lives_signs_and_a_dead_one_does_not(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_OLD_ALIVE)
    token = await wecom.token()
    old, new = [(await wecom.agent_ticket(token))["ticket"] for _ in range(2)]

    assert [0, 0] == [await errcode(wecom, signed(ticket, "agent")) for ticket in (old, new)]

    world.kill(old)
    assert [40093, 0] == [await errcode(wecom, signed(ticket, "agent")) for ticket in (old, new)]


async def test_without_fields_there_is_a_form_and_no_verdict(wecom: Caller) -> None:
    text = await page(wecom, {})

    assert "<form" in text
    assert 'class="verdict"' not in text


async def test_nothing_from_outside_becomes_markup_or_is_loaded(wecom: Caller) -> None:
    evil = "\"><script src='//evil.example'></script>{verdict}"
    names = ("corp", "agentid", "kind", "url", "timestamp", "nonceStr", "signature")
    text = await page(wecom, dict.fromkeys(names, evil))

    assert "<script" not in text
    assert 7 == text.count("&lt;script src=&#x27;//evil.example&#x27;&gt;&lt;/script&gt;{verdict}")
    assert not re.search(r"(?:src|href)=[\"']", text)


async def test_the_page_is_no_call_to_wecom(wecom: Caller, world: World) -> None:
    await page(wecom, {})

    assert 0 == world.log.calls()
