"""What a caller of a suite is told where the answer is no, and what the broker does not ask WeCom then."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from wecom_broker import AuthorizationState, Broker, errors

from broker.simulator import Errcode
from broker.simulator.provider_demo import PARENT, child
from tests.integration.suites.three_kinds import (
    BY_INSTALLATION,
    BY_TOKEN,
    MARKET,
    TAILORED,
    Kinds,
    installed,
    three_kinds,
)
from tests.kit.processes.fleet import until

PAGE = "https://app.example.com/"
OTHERS = {MARKET: BY_TOKEN, TAILORED: BY_INSTALLATION}
"""Of each suite, a corp beside the parent that authorised it."""
STRANGER = "wpNobodyKnowsThisCorp00000000000"


@pytest.fixture
async def kinds(tmp_path: Path) -> AsyncIterator[Kinds]:
    async with three_kinds(tmp_path) as kinds:
        yield kinds


@pytest.fixture
async def broker(kinds: Kinds) -> AsyncIterator[Broker]:
    async with Broker(kinds.address) as broker:
        await installed(kinds, broker)
        yield broker


def acting(broker: Broker, suite: str, corp: str) -> dict[str, Callable[[], Any]]:
    """Return a call of each kind that is made on behalf of a corp."""

    async def shares() -> list[object]:
        return [share async for share in broker.app_shares(suite, parent=corp)]

    async def watch() -> None:
        async with aclosing(broker.watch_access_token(suite, corp)) as tokens:
            await anext(tokens)

    async def download() -> None:
        async with broker.download_media(suite, "media", corp):
            pass

    return {
        "token": lambda: broker.access_token(suite, corp),
        "watch": watch,
        "page": lambda: broker.sign_page(suite, PAGE, corp),
        "call": lambda: broker.call(suite, "/cgi-bin/user/get", corp=corp, query={"userid": "x"}),
        "upload": lambda: broker.upload_media(suite, "file", "a", b"content", corp),
        "download": download,
        "shares": shares,
        "sync": lambda: broker.sync_app_shares(suite, parent=corp),
        "authorization": lambda: broker.authorization(suite, corp),
        "refresh": lambda: broker.refresh_authorization(suite, corp),
    }


async def reason_of(call: Callable[[], Any]) -> str:
    """Return the reason that the call is refused with, or OK."""
    try:
        await call()
    except errors.BrokerError as error:
        return error.reason
    return "OK"


async def refusals(calls: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """Return the reason that each call is refused with."""
    return {name: await reason_of(call) for name, call in calls.items()}


def calls_for(kinds: Kinds, suite: str, corp: str) -> int:
    """Return how many calls WeCom got with the app's token in the corp, or that name the corp."""
    known = kinds.world.corps.find(corp)
    names = {corp, kinds.corpid(corp)} if known else {corp}
    agent_id = kinds.world.suites.authorization(suite, corp).agentid if known else None
    return sum(
        (call.corpid, call.agentid) == (corp, agent_id)
        or any(name in f"{call.query} {call.body}" for name in names)
        for call in kinds.world.log.records
    )


def all_refused(calls: dict[str, Callable[[], Any]], reason: str) -> dict[str, str]:
    return dict.fromkeys(calls, reason)


@pytest.mark.parametrize("suite", [MARKET, TAILORED])
async def test_a_corp_that_never_authorised_the_app_is_named(
    kinds: Kinds, broker: Broker, suite: str
) -> None:
    calls = acting(broker, suite, STRANGER)

    assert all_refused(calls, "CORP_NOT_AUTHORIZED") == await refusals(calls)
    assert 0 == calls_for(kinds, suite, STRANGER)
    # The corp might have been a new child of a 代开发 app: that is looked up, but not for each call.
    assert kinds.world.log.calls("corpgroup/corp/list_app_share_info") < len(calls)
    with pytest.raises(errors.CorpNotAuthorized) as refused:
        await broker.access_token(suite, STRANGER)
    assert {"app": suite, "corp_id": STRANGER} == refused.value.metadata


@pytest.mark.parametrize("suite", [MARKET, TAILORED])
async def test_a_corp_that_cancelled_has_no_calls_any_more(kinds: Kinds, broker: Broker, suite: str) -> None:
    corp, other = kinds.corpid(PARENT), OTHERS[suite]
    await broker.access_token(suite, corp)
    kinds.world.console.cancel(suite, PARENT)
    await kinds.world.callbacks.outbox.settled()
    calls = acting(broker, suite, corp)
    # Operators still see the authorisation, and that it was cancelled.
    expected = all_refused(calls, "CORP_NOT_AUTHORIZED") | {"authorization": "OK"}

    async def told() -> bool:
        return await refusals(calls) == expected

    await until(told, within=10)
    before = calls_for(kinds, suite, PARENT)
    assert expected == await refusals(calls)
    assert before == calls_for(kinds, suite, PARENT)
    assert (await broker.access_token(suite, kinds.corpid(other))).value
    child_by_token = await refusals({"token": lambda: broker.access_token(TAILORED, kinds.corpid(BY_TOKEN))})
    expected_of_child = "CORP_NOT_AUTHORIZED" if suite == TAILORED else "OK"
    assert {"token": expected_of_child} == child_by_token


@pytest.mark.parametrize(("suite", "fetch"), [(MARKET, "service/get_corp_token"), (TAILORED, "gettoken")])
async def test_a_corp_whose_permanent_code_ended_must_authorise_again_and_nobody_else(
    kinds: Kinds, broker: Broker, suite: str, fetch: str
) -> None:
    corp, other, world = kinds.corpid(PARENT), OTHERS[suite], kinds.world
    async with Broker(kinds.address) as another:
        held = await another.access_token(suite, corp)
    world.faults.add(fetch, Errcode(48004))
    assert world.kill(held.value)

    assert "REAUTHORIZATION_REQUIRED" == await reason_of(lambda: broker.rejected(held, 40014))
    world.faults.clear()
    before = calls_for(kinds, suite, PARENT)
    calls = acting(broker, suite, corp)
    # What the broker knows by itself may be read, and an operator may try again.
    del calls["authorization"], calls["refresh"]
    assert all_refused(calls, "REAUTHORIZATION_REQUIRED") == await refusals(calls)
    assert before == calls_for(kinds, suite, PARENT)
    assert AuthorizationState.REAUTHORIZATION_REQUIRED is (await broker.authorization(suite, corp)).state
    assert (await broker.access_token(suite, kinds.corpid(other))).value

    await broker.refresh_authorization(suite, corp)

    assert (await broker.access_token(suite, corp)).value


async def test_a_client_secret_that_ended_is_not_tried_again_and_a_reset_replaces_it(
    kinds: Kinds, broker: Broker
) -> None:
    corp, world = kinds.corpid(PARENT), kinds.world
    held = await broker.access_token(TAILORED, corp)
    authorization = world.suites.active(TAILORED, PARENT)
    # As after a reset whose event was lost.
    world.suites.renew_code(authorization)
    world.suites.forget_old_code(authorization)
    assert world.kill(held.value)

    assert "SECRET_REJECTED" == await reason_of(lambda: broker.rejected(held, 40014))
    before = world.log.calls("gettoken")
    await reason_of(lambda: broker.sign_page(TAILORED, PAGE, corp))
    assert before == world.log.calls("gettoken"), "each try counts towards WeCom's ban of the address"
    assert (await broker.access_token(TAILORED, kinds.corpid(BY_INSTALLATION))).value

    world.console.reset(TAILORED, PARENT)

    async def works() -> bool:
        signed = await reason_of(lambda: broker.sign_page(TAILORED, PAGE, corp))
        return signed == "OK"

    await until(works)


async def test_a_customized_app_of_several_corps_needs_the_corp_where_users_log_in(
    kinds: Kinds, broker: Broker
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "link": lambda: broker.authorize_url(TAILORED, PAGE),
        "user": lambda: broker.user_from_code(TAILORED, "code-of-a-user"),
        "profile": lambda: broker.user_profile(TAILORED, "ticket-of-a-user"),
        "session": lambda: broker.mini_program_login(TAILORED, "code-of-a-program"),
    }
    for call in calls.values():
        with pytest.raises(errors.InvalidRequest) as refused:
            await call()
        assert "corp_id" == refused.value.metadata["field"]
    assert 0 == kinds.world.log.times_sent("code-of-a-user")


@pytest.mark.parametrize("suite", [MARKET, TAILORED])
async def test_shares_of_a_suite_need_the_parent(broker: Broker, suite: str) -> None:
    async def listed() -> None:
        async for _ in broker.app_shares(suite):
            pass

    async def watched() -> None:
        async with aclosing(broker.watch_app_shares(suite)) as changes:
            await anext(changes)

    for call in (listed, watched, lambda: broker.sync_app_shares(suite)):
        with pytest.raises(errors.InvalidRequest) as refused:
            await call()
        assert "parent_corp_id" == refused.value.metadata["field"]


async def test_a_suite_that_was_never_told_a_ticket_says_what_is_missing(tmp_path: Path) -> None:
    async with three_kinds(tmp_path, has_tickets=False) as kinds, Broker(kinds.address) as broker:
        for suite in (MARKET, TAILORED):
            with pytest.raises(errors.SuiteTicketMissing) as refused:
                await broker.access_token(suite)
            assert suite == refused.value.metadata["app"]
            assert "suite_ticket" in str(refused.value)
            with pytest.raises(errors.SuiteTicketMissing):
                await broker.call(suite, "/cgi-bin/service/get_app_qrcode", body={"suite_id": "x"})
        with pytest.raises(errors.SuiteTicketMissing):
            await broker.install_url(MARKET, PAGE)
        assert 0 == kinds.world.log.calls("get_suite_token")

        kinds.world.console.tickets.push(MARKET)
        await kinds.world.callbacks.outbox.settled()

        assert (await broker.access_token(MARKET)).value


async def test_a_child_of_nobody_is_no_child_of_a_customized_app(kinds: Kinds, broker: Broker) -> None:
    kinds.world.suites.introduce(kinds.world.suites.get(TAILORED), kinds.world.corps.get(child(3)))

    with pytest.raises(errors.CorpNotAuthorized):
        await broker.access_token(TAILORED, kinds.corpid(child(3)))
