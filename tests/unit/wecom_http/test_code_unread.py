"""Whether a call that failed certainly left its one-time code unread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.egress import Egress
from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.adapters.wecom.users import UserEndpoints
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, RateLimited, StoreUnavailable
from broker.domain.secret import Secret
from broker.simulator import Delay, Errcode, Hang, HttpStatus, Junk, Reset, Truncated, World
from broker.simulator.world.faults import Fault
from tests.kit.http_proxy import proxy, secure_wecom
from tests.kit.processes.ports import free_port
from tests.unit.wecom_http.recorders import HASTY, PATIENT, Surroundings, answering, parent_with
from tests.unit.wecom_http.suites import AUTH_CODE, SUITE_TOKEN, recorded

Spend = Callable[[WecomClient], Awaitable[object]]
CODE = Secret("the-login-code-itself")
LOGIN = "/cgi-bin/auth/getuserinfo"


async def install(client: WecomClient) -> object:
    return await AuthorizationEndpoints(client).exchange_auth_code(SUITE_TOKEN, AUTH_CODE)


async def log_in(client: WecomClient, token: Credential | None = None) -> object:
    return await UserEndpoints(client).exchange_auth_code(token or parent_with("the-parent-token"), CODE)


async def log_in_by_suite(client: WecomClient) -> object:
    return await log_in(client, SUITE_TOKEN)


async def log_in_to_mini_program(client: WecomClient) -> object:
    return await UserEndpoints(client).exchange_login_code(SUITE_TOKEN, CODE)


SPENDING = pytest.mark.parametrize("spend", [install, log_in, log_in_by_suite, log_in_to_mini_program])


@asynccontextmanager
async def saying(said: bytes) -> AsyncIterator[int]:
    """Say this to whoever connects, and nothing more; yields the port."""
    over, served = asyncio.Event(), list[asyncio.Task[None] | None]()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        writer.write(said)
        await over.wait()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        over.set()
        await asyncio.gather(*(task for task in served if task))


async def failure(spend: Spend, client: WecomClient) -> BrokerError:
    with pytest.raises(BrokerError) as failed:
        await spend(client)
    return failed.value


# --- nothing was sent


@SPENDING
async def test_where_nobody_listens_no_code_is_read(around: Surroundings, spend: Spend) -> None:
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        assert (await failure(spend, wecom.client)).code_unread


async def test_where_no_name_is_found_no_code_is_read(around: Surroundings) -> None:
    async with around.wecom("http://nobody.invalid") as wecom:
        assert (await failure(install, wecom.client)).code_unread


async def test_where_the_certificate_is_not_trusted_no_code_is_read(
    around: Surroundings, tmp_path: Path
) -> None:
    egress = Egress(addresses={"wecom.test": ["127.0.0.1"]})
    async with secure_wecom(tmp_path) as (url, _, asked), around.wecom(url, egress=egress) as wecom:
        failed = await failure(install, wecom.client)

    assert (True, []) == (failed.code_unread, asked)
    assert "certificate" in failed.message


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["nothing", "no TLS"])
async def test_where_no_handshake_succeeds_no_code_is_read(around: Surroundings, said: bytes) -> None:
    async with saying(said) as port, around.wecom(f"https://127.0.0.1:{port}", HASTY) as wecom:
        failed = await failure(install, wecom.client)

    assert (True, ["connection" if said else "timeout"]) == (failed.code_unread, around.observer.outcomes)


async def test_where_the_proxy_refuses_no_code_is_read(around: Surroundings) -> None:
    async with proxy() as squid:
        squid.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        egress = Egress(Secret(f"http://127.0.0.1:{squid.port}"))
        async with around.wecom("https://wecom.test", egress=egress) as wecom:
            assert (await failure(install, wecom.client)).code_unread


@pytest.mark.parametrize(
    "closed",
    [RateLimited("closed", timedelta(seconds=60)), StoreUnavailable("away")],
    ids=["limit", "store"],
)
async def test_behind_a_closed_gate_no_code_is_read(around: Surroundings, closed: BrokerError) -> None:
    around.gate.closed = closed
    async with recorded({}) as (url, heard), around.wecom(url) as wecom:
        assert (await failure(install, wecom.client)).code_unread

    assert [] == heard


# --- WeCom refused what it looks at first

REFUSED_FIRST = [
    (log_in, {40014, 42001, 48009, 60020, 301042}),
    *(
        (spend, {40014, 40082, 40085, 42001, 42009, 48009, 60020, 301042})
        for spend in (install, log_in_by_suite)
    ),
]
OTHER = {
    -1,
    6000,
    40001,
    40029,
    40058,
    40078,
    40084,
    42003,
    42022,
    45009,
    45033,
    48002,
    48004,
    50001,
    999_999,
}


@pytest.mark.parametrize(("spend", "refused_first"), REFUSED_FIRST, ids=["app", "install", "suite"])
async def test_a_refused_token_address_or_ticket_leaves_the_code_unread_and_nothing_else_does(
    around: Surroundings, spend: Spend, refused_first: set[int]
) -> None:
    told: dict[int, bool] = {}
    for errcode in {*REFUSED_FIRST[1][1], *OTHER}:
        async with answering({"errcode": errcode}) as (url, asked), around.wecom(url) as wecom:
            told[errcode] = (await failure(spend, wecom.client)).code_unread
            assert 1 == len(asked)

    assert refused_first == {errcode for errcode, unread in told.items() if unread}


# --- nobody knows

FAULTS: list[Fault] = [
    Hang(),
    Hang(takes_effect=True),
    Delay(2),
    Reset(),
    Reset(takes_effect=True),
    Truncated(),
    Junk(),
    HttpStatus(302),
    HttpStatus(404),
    HttpStatus(429),
    HttpStatus(500),
    HttpStatus(502),
    Errcode(-1),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_what_reached_wecom_may_be_read_and_is_sent_once(
    url: str, around: Surroundings, world: World, parent: Credential, fault: Fault
) -> None:
    world.faults.add(LOGIN, fault)
    before = world.log.calls(LOGIN)
    hangs = isinstance(fault, Hang | Delay)
    async with around.wecom(url, timedelta(seconds=0.3) if hangs else PATIENT) as wecom:
        failed = await failure(lambda client: log_in(client, parent), wecom.client)

    assert (False, 1) == (failed.code_unread, world.log.calls(LOGIN) - before)


async def test_a_kept_connection_that_breaks_may_have_carried_the_code(
    url: str, around: Surroundings, world: World, parent: Credential
) -> None:
    async with around.wecom(url) as wecom:
        await wecom.list_shares(parent, ShareKind.CORP_GROUP)
        world.faults.add(LOGIN, Reset(), times=1)
        assert not (await failure(lambda client: log_in(client, parent), wecom.client)).code_unread


ANSWERS: list[dict[str, Any]] = [
    {},
    {"permanent_code": "the-code-itself"},
    {"permanent_code": "the-code-itself", "auth_corp_info": {"corpid": "wp 1"}},
    {"auth_corp_info": {"corpid": "wp1"}},
    {"errcode": "what"},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_an_answer_that_cannot_be_used_means_that_the_code_was_read(
    around: Surroundings, answer: dict[str, Any]
) -> None:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        assert not (await failure(install, wecom.client)).code_unread


async def test_a_call_without_a_code_says_nothing_of_codes(around: Surroundings) -> None:
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        failed = await failure(
            lambda client: AuthorizationEndpoints(client).fetch_pre_auth_code(SUITE_TOKEN), wecom.client
        )

    assert not failed.code_unread
