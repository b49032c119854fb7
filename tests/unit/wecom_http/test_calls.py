"""What is asked of WeCom, and what is made of a right answer."""

from datetime import timedelta

import pytest

from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential
from broker.domain.errors import AppNotShared, RateLimited, SecretRejected, TokenRejected
from broker.domain.secret import Secret
from broker.domain.shares import AppShare
from broker.simulator import AppId, BusinessType, World, demo
from broker.simulator.demo import add_children
from tests.unit.wecom_http.recorders import (
    CHILD_AGENT,
    CHILD_CORP,
    CHILD_TOKEN,
    GETTOKEN,
    LIST_SHARES,
    PARENT_CORP,
    SUPPLIER_AGENT,
    SUPPLIER_CORP,
    Surroundings,
    Wecom,
    answering,
    app,
    call,
    parent_with,
)

HOURS = timedelta(hours=2)


async def test_an_app_token_comes_with_its_lifetime(wecom: Wecom, world: World) -> None:
    grant = await wecom.fetch_app_token(app())

    assert HOURS == grant.lifetime
    assert world.tokens.find(grant.value.reveal())


async def test_a_child_token_is_the_child_s(wecom: Wecom, parent: Credential, world: World) -> None:
    grant = await wecom.fetch_child_token(parent, CHILD_CORP, CHILD_AGENT, ShareKind.CORP_GROUP)
    token = world.tokens.find(grant.value.reveal())

    assert token
    assert AppId(CHILD_CORP, CHILD_AGENT) == token.owner.app


async def test_each_kind_of_share_is_asked_for_by_its_number(
    wecom: Wecom, parent: Credential, world: World
) -> None:
    grant = await wecom.fetch_child_token(parent, SUPPLIER_CORP, SUPPLIER_AGENT, ShareKind.SUPPLY_CHAIN)
    token = world.tokens.find(grant.value.reveal())

    assert token
    assert BusinessType.SUPPLY_CHAIN is token.owner.business_type
    with pytest.raises(AppNotShared):
        await wecom.fetch_child_token(parent, SUPPLIER_CORP, SUPPLIER_AGENT, ShareKind.CORP_GROUP)


async def test_the_child_s_agent_id_is_asked_for_and_not_the_parent_s(around: Surroundings) -> None:
    async with (
        answering({"access_token": "the-token", "expires_in": 7200}) as (url, asked),
        around.wecom(url) as wecom,
    ):
        await wecom.fetch_child_token(parent_with("p"), "ww1", 77, ShareKind.SUPPLY_CHAIN)

    assert [{"corpid": "ww1", "agentid": 77, "business_type": 1}] == asked


async def test_a_listing_asks_for_the_parent_s_agent_id(around: Surroundings) -> None:
    async with answering({"ending": 1, "corp_list": []}) as (url, asked), around.wecom(url) as wecom:
        await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert [{"agentid": demo.PARENT.agentid, "business_type": 0, "limit": 100}] == asked


@pytest.mark.parametrize(
    ("kind", "corps"), [(ShareKind.CORP_GROUP, 5), (ShareKind.SUPPLY_CHAIN, 1)], ids=["group", "chain"]
)
async def test_shares_are_listed_by_kind(
    wecom: Wecom, parent: Credential, kind: ShareKind, corps: int
) -> None:
    shares = await wecom.list_app_shares(parent, kind)

    assert corps == len(shares)
    assert {kind} == {share.share_kind for share in shares}


async def test_a_share_has_the_child_s_name_and_agent_id(wecom: Wecom, parent: Credential) -> None:
    (supplier,) = await wecom.list_app_shares(parent, ShareKind.SUPPLY_CHAIN)

    assert AppShare(ShareKind.SUPPLY_CHAIN, SUPPLIER_CORP, SUPPLIER_AGENT, "示例供应商") == supplier


@pytest.mark.parametrize("endpoint", [GETTOKEN, LIST_SHARES, CHILD_TOKEN])
async def test_an_answer_without_an_errcode_is_a_success(
    wecom: Wecom, parent: Credential, world: World, endpoint: str
) -> None:
    world.settings.omit_errcode = {endpoint}

    assert await call(wecom, parent, endpoint)


async def test_a_base_url_may_end_with_a_slash(url: str, around: Surroundings) -> None:
    async with around.wecom(f"{url}/") as wecom:
        assert await wecom.fetch_app_token(app())


async def test_a_secret_may_have_any_characters(around: Surroundings) -> None:
    async with (
        answering({"access_token": "the-token", "expires_in": 7200}) as (url, asked),
        around.wecom(url) as wecom,
    ):
        await wecom.fetch_app_token(app(Secret("a&b=c+d %2B/#?é企"), "ww0"))

    assert [{"corpid": "ww0", "corpsecret": "a&b=c+d %2B/#?é企"}] == asked


async def test_an_answer_s_content_type_does_not_matter(around: Surroundings) -> None:
    async with (
        answering(b'{"access_token": "the-token", "expires_in": "60"}') as (url, _),
        around.wecom(url) as wecom,
    ):
        grant = await wecom.fetch_app_token(app(corp_id="ww0"))

    assert (Secret("the-token"), timedelta(seconds=60)) == (grant.value, grant.lifetime)


# --- the gate and the observer


@pytest.mark.parametrize("endpoint", [GETTOKEN, LIST_SHARES, CHILD_TOKEN])
async def test_the_gate_stands_before_each_call_and_hears_its_end(
    wecom: Wecom, parent: Credential, around: Surroundings, endpoint: str
) -> None:
    await call(wecom, parent, endpoint)

    assert [
        ("enter", endpoint, PARENT_CORP, None),
        ("leave", endpoint, PARENT_CORP, None),
    ] == around.gate.told


async def test_the_gate_hears_of_a_refusal(wecom: Wecom, around: Surroundings) -> None:
    with pytest.raises(SecretRejected) as refused:
        await wecom.fetch_app_token(app(Secret("wrong")))

    assert ("leave", GETTOKEN, PARENT_CORP, refused.value) == around.gate.told[-1]


async def test_a_closed_gate_lets_nothing_pass(wecom: Wecom, around: Surroundings, world: World) -> None:
    around.gate.closed = RateLimited("closed", timedelta(seconds=60))

    with pytest.raises(RateLimited) as refused:
        await wecom.fetch_app_token(app())

    assert around.gate.closed is refused.value
    assert 0 == world.log.calls(GETTOKEN)
    assert [("enter", GETTOKEN, PARENT_CORP, None)] == around.gate.told
    assert [] == around.observer.calls


async def test_the_observer_hears_of_each_call_with_its_errcode(
    wecom: Wecom, parent: Credential, around: Surroundings, world: World
) -> None:
    await wecom.fetch_app_token(app())
    world.kill(parent.value.reveal())
    with pytest.raises(TokenRejected):
        await wecom.list_app_shares(parent, ShareKind.CORP_GROUP)

    assert [(GETTOKEN, "0"), (LIST_SHARES, "40014")] == around.observer.calls
    assert all(duration > timedelta(0) for duration in around.observer.durations)


async def test_an_unknown_errcode_is_counted_under_one_word(around: Surroundings) -> None:
    async with answering({"errcode": 123456, "errmsg": "?"}) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(Exception, match="123456"):
            await wecom.fetch_app_token(app(corp_id="ww0"))

    assert ["unknown"] == around.observer.outcomes


# --- pages


async def test_a_long_listing_is_read_page_by_page(around: Surroundings, world: World, url: str) -> None:
    add_children(world, 245)
    async with around.wecom(url) as wecom:
        parent = parent_with((await wecom.fetch_app_token(app())).value.reveal())
        shares = await wecom.list_app_shares(parent, ShareKind.CORP_GROUP)

    assert 250 == len({share.corp_id for share in shares}) == len(shares)
    assert 3 == world.log.calls(LIST_SHARES)


async def test_each_page_passes_the_gate(around: Surroundings, world: World, url: str) -> None:
    add_children(world, 245)
    async with around.wecom(url) as wecom:
        parent = parent_with((await wecom.fetch_app_token(app())).value.reveal())
        around.gate.told.clear()
        await wecom.list_app_shares(parent, ShareKind.CORP_GROUP)

    assert ["enter", "leave"] * 3 == [what for what, *_ in around.gate.told]


def share(corp_id: str) -> dict[str, object]:
    return {"corpid": corp_id, "corp_name": corp_id, "agentid": 1}


PAGES: dict[str, list[dict[str, object]]] = {
    "ending as 1": [{"ending": 1, "corp_list": [share("a")], "next_cursor": "more"}],
    "ending as true": [{"ending": True, "corp_list": [share("a")], "next_cursor": "more"}],
    "ending as a string": [{"ending": "1", "corp_list": [share("a")], "next_cursor": "more"}],
    "an empty cursor": [{"ending": 0, "corp_list": [share("a")], "next_cursor": ""}],
    "no cursor": [{"ending": 0, "corp_list": [share("a")]}],
    "a null cursor": [{"ending": 0, "corp_list": [share("a")], "next_cursor": None}],
    "nothing but the list": [{"corp_list": [share("a")]}],
}


@pytest.mark.parametrize("pages", PAGES.values(), ids=PAGES.keys())
async def test_a_listing_ends_with(around: Surroundings, pages: list[dict[str, object]]) -> None:
    async with answering(*pages) as (url, asked), around.wecom(url) as wecom:
        shares = await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert ["a"] == [share.corp_id for share in shares]
    assert 1 == len(asked)


async def test_a_repeating_cursor_ends_a_listing(around: Surroundings) -> None:
    stuck = {"ending": 0, "corp_list": [share("a")], "next_cursor": "again"}
    async with answering(stuck) as (url, asked), around.wecom(url) as wecom:
        shares = await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert ["a"] == [share.corp_id for share in shares]
    assert [None, "again"] == [body.get("cursor") for body in asked]


async def test_cursors_that_go_in_a_circle_end_a_listing(around: Surroundings) -> None:
    pages = [
        {"ending": 0, "corp_list": [share(corp_id)], "next_cursor": cursor}
        for corp_id, cursor in [("a", "1"), ("b", "2"), ("c", "1")]
    ]
    async with answering(*pages) as (url, asked), around.wecom(url) as wecom:
        shares = await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert ["a", "b", "c"] == [share.corp_id for share in shares]
    assert 3 == len(asked)


async def test_a_share_on_two_pages_counts_once(around: Surroundings) -> None:
    pages = [
        {"ending": 0, "corp_list": [share("a"), share("b")], "next_cursor": "1"},
        {"ending": 1, "corp_list": [share("b"), share("c")]},
    ]
    async with answering(*pages) as (url, _), around.wecom(url) as wecom:
        shares = await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)

    assert ["a", "b", "c"] == [share.corp_id for share in shares]


@pytest.mark.parametrize("listed", [[], None], ids=["empty", "null"])
async def test_a_listing_may_be_empty(around: Surroundings, listed: object) -> None:
    async with answering({"ending": 1, "corp_list": listed}) as (url, _), around.wecom(url) as wecom:
        assert [] == await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)


async def test_a_page_that_fails_fails_the_listing(around: Surroundings) -> None:
    page = {"ending": 0, "corp_list": [share("a")], "next_cursor": "1"}
    async with answering(page, {"errcode": 42001}) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(TokenRejected):
            await wecom.list_app_shares(parent_with("p"), ShareKind.CORP_GROUP)
