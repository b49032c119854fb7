"""Every rpc × who calls it: whom a rule names for its action, app and corp is answered, and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from broker.domain.access import Action
from broker.server.grpc.entry.subjects import TOKENS
from tests.integration.access.desk import RPCS, Desk, Line, Who, identity_of, open_desk
from tests.integration.access.rows import ROWS, Key
from tests.kit.actions import ACTIONS
from tests.kit.processes.certificates import Pair
from tests.kit.processes.fleet import Refusal, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
LIMITED = (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMITED")
MINUTE = 61
"""Seconds, rounded up."""
UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
UPLOAD = "/cgi-bin/media/upload"
SHORTEST_SECRET = 6
every_row = pytest.mark.parametrize("key", ROWS, ids=lambda key: f"{key[0].rpartition('/')[2]} {key[1]}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("matrix")) as desk:
        yield desk


async def test_each_rpc_has_a_row_for_each_action_that_it_may_need() -> None:
    own_tokens = {
        (rpc, own)
        for rpc, action in ACTIONS.items()
        if action in TOKENS
        for own in (Action.SUITE_TOKEN, Action.PROVIDER_TOKEN)
    }

    assert {(rpc, ACTIONS[rpc]) for rpc in RPCS} | own_tokens == set(ROWS)
    # A ticket's value is handed out by no rpc.
    assert set(Action) - {Action.TICKET_GET} == {action for _, action in ROWS}


@every_row
async def test_whom_a_rule_names_is_answered(desk: Desk, key: Key) -> None:
    assert await desk.answer(desk.caller(key, Who.ALLOWED), key, await desk.request(key))


@every_row
@pytest.mark.parametrize("who", [Who.OTHER_APP, Who.OTHER_CORP, Who.OTHER_ACTION])
async def test_a_right_to_something_else_is_none_to_this(desk: Desk, key: Key, who: Who) -> None:
    row, pair = ROWS[key], desk.caller(key, who)
    sees_nothing = {Who.OTHER_APP: row.blind_to_app, Who.OTHER_CORP: row.blind_to_corp}.get(who)
    if sees_nothing:
        assert sees_nothing(await desk.answer(pair, key, await desk.request(key)))
    else:
        spends = row.spends and who is Who.OTHER_CORP
        assert DENIED == said(await refused_without_effect(desk, pair, key, spends=spends))


@every_row
@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(lambda desk, _: desk.authority.sign(uri="spiffe://example.org/nobody"), id="unknown"),
        pytest.param(lambda desk, key: desk.cut_short(key), id="NUL in a SAN"),
    ],
)
async def test_who_is_not_known_is_told_nothing(
    desk: Desk, key: Key, signed: Callable[[Desk, Key], Pair]
) -> None:
    assert UNKNOWN == said(await refused_without_effect(desk, signed(desk, key), key))


@every_row
async def test_an_expired_certificate_gets_no_connection(desk: Desk, key: Key) -> None:
    pair = desk.authority.sign(uri=identity_of(key, Who.ALLOWED), lasts=timedelta(seconds=-1))

    assert (grpc.StatusCode.UNAVAILABLE, "") == said(await refused_without_effect(desk, pair, key))


@every_row
async def test_a_certificate_of_another_ca_gets_no_connection(desk: Desk, key: Key) -> None:
    pair = desk.stranger.sign(uri=identity_of(key, Who.ALLOWED))

    assert (grpc.StatusCode.UNAVAILABLE, "") == said(await refused_without_effect(desk, pair, key))


@every_row
async def test_who_is_over_its_limit_is_told_when_to_come_back(desk: Desk, key: Key) -> None:
    pair = desk.caller(key, Who.LIMITED)
    assert await desk.answer(pair, key, await desk.request(key))

    limited = await refused_without_effect(desk, pair, key)
    assert LIMITED == said(limited)
    assert 0 < (limited.retry_seconds or 0) <= MINUTE


@every_row
async def test_a_right_that_a_reload_takes_ends_at_once_and_cuts_what_is_open(desk: Desk, key: Key) -> None:
    request, later = await desk.request(key), await desk.request(key)
    async with desk.enter(desk.caller(key, Who.REVOKED)) as line:
        if held := await kept_open(desk, line, key, request):
            desk.revoke(key)
            await until(held.done, within=1)
            assert DENIED == said(await refused(held))
        else:
            assert await line.answer(key[0], request)
            desk.revoke(key)

        assert DENIED == said(await refused(line.answer(key[0], later)))


async def kept_open(desk: Desk, line: Line, key: Key, request: Message) -> "asyncio.Task[None] | None":
    """Return the task that reads an open stream to its end, once that is served; None if the rpc is none."""
    rpc, _ = key
    method = RPCS[rpc]
    if method.client_streaming:
        call, before = line.call(rpc), desk.facts.world.log.calls(UPLOAD)
        await call.write(request)
        await until(lambda: desk.facts.world.log.calls(UPLOAD) > before)
        return asyncio.create_task(awaited(call))
    if method.server_streaming:
        call = line.call(rpc, request)
        assert await call.read() is not grpc.aio.EOF
        return asyncio.create_task(read_out(call))
    return None


async def awaited(call: Any) -> None:
    await call


async def read_out(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def refused_without_effect(desk: Desk, pair: Pair, key: Key, *, spends: bool = False) -> Refusal:
    """Return the refusal; nobody but a call that spends a code may have asked WeCom or changed anything."""
    request = await desk.request(key)
    asked = desk.asked()
    refusal = await refused(desk.answer(pair, key, request))
    assert spends == (desk.asked() > asked)
    # What a code, a session or a token was good for, it is still good for.
    again = await desk.request(key) if spends else request
    answer = await desk.answer(desk.caller(key, Who.ALLOWED), key, again)
    told = f"{refusal.message} {refusal.metadata}"
    assert [] == [word for word in set(words(answer)) - set(words(request)) if word in told]
    return refusal


def words(message: Message) -> Iterator[str]:
    """Yield what a message says, where that is long enough to be found by chance nowhere else."""
    for field, value in message.ListFields():
        if field.name == "kind":
            continue  # one of a few words that all know
        values = value if field.is_repeated else [value]
        for each in values:
            if isinstance(each, Message):
                yield from words(each)
            elif isinstance(each, str | bytes) and len(each) >= SHORTEST_SECRET:
                yield each if isinstance(each, str) else each.decode(errors="replace")


def said(refusal: Refusal) -> tuple[grpc.StatusCode, str]:
    return refusal.code, refusal.reason
