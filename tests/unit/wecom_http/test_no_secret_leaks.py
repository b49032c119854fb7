"""No error of the adapter, and no log line at any level, carries a token, a secret or a query string."""

import io
import json
import logging
import re
import traceback
from collections.abc import Iterator

import pytest
import structlog

from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.adapters.wecom.suites.tokens import SuiteTokenEndpoints
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError
from broker.domain.secret import Secret
from broker.simulator import Delay, Errcode, Hang, HttpStatus, Junk, Reset, Truncated, World
from broker.simulator.world.faults import Fault
from broker.telemetry.logging import set_up_logging
from tests.kit.logs import own_logging
from tests.kit.processes.ports import free_port
from tests.unit.wecom_http.recorders import (
    CHILD_TOKEN,
    GETTOKEN,
    HASTY,
    LIST_SHARES,
    PARENT_CORP,
    Surroundings,
    Wecom,
    app,
    call,
    parent_with,
    speaking,
)
from tests.unit.wecom_http.suites import (
    APP,
    AUTH_CODE,
    CORP_TOKEN,
    PROVIDER,
    SECRETS,
    SUITE,
    SUITE_TOKEN,
    TICKET,
)

SECRET_VALUE = "the-app-secret-itself"
TOKEN_VALUE = "the-parent-token-itself"
TELLTALES = (SECRET_VALUE, TOKEN_VALUE, "access_token=", "corpsecret=", "corpid=")
FAULTS: list[Fault] = [
    Delay(2),
    Hang(),
    Reset(),
    Truncated(),
    Junk(),
    HttpStatus(502),
    HttpStatus(404),
    Errcode(-1),
    Errcode(40001),
]
BROKEN_HTTP = {
    "silence": b"",
    "noise": b"\x00\x01noise\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n{}",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "bad gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what is logged with every logger of the process at debug."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    names = ["", "aiohttp", "aiohttp.client", "aiohttp.internal", "asyncio", "wecom_broker"]
    with own_logging(*names):
        set_up_logging("debug", "json")
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG)
        yield written


def everything_about(error: BaseException) -> str:
    """Return all that a careless program could show of an error, with all that led to it."""
    told: list[str] = []
    seen: list[BaseException | None] = [None]
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one in seen or one is None:
            continue
        seen.append(one)
        told += [repr(one), str(one), repr(one.args), repr(vars(one)), *traceback.format_exception(one)]
        told += traceback.TracebackException.from_exception(one).format()
        waiting += [one.__cause__, one.__context__]
    return "\n".join(told)


def leaks(text: str) -> list[str]:
    return [telltale for telltale in TELLTALES if telltale in text]


async def fail(wecom: Wecom, endpoint: str) -> BrokerError:
    with pytest.raises(BrokerError) as failed:
        await call(wecom, parent_with(TOKEN_VALUE), endpoint, Secret(SECRET_VALUE))
    return failed.value


@pytest.mark.parametrize("endpoint", [GETTOKEN, CHILD_TOKEN])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_brings_a_secret_into_an_error_or_a_log(
    url: str, around: Surroundings, world: World, logged: io.StringIO, endpoint: str, fault: Fault
) -> None:
    world.faults.add(endpoint, fault)
    async with around.wecom(url, HASTY) as wecom:
        error = await fail(wecom, endpoint)

    assert [] == leaks(everything_about(error))
    assert [] == leaks(logged.getvalue())


@pytest.mark.parametrize("said", BROKEN_HTTP.values(), ids=BROKEN_HTTP.keys())
@pytest.mark.parametrize("endpoint", [GETTOKEN, LIST_SHARES])
async def test_no_broken_answer_brings_a_secret_into_an_error_or_a_log(
    around: Surroundings, logged: io.StringIO, endpoint: str, said: bytes
) -> None:
    async with speaking(said) as (url, _), around.wecom(url) as wecom:
        error = await fail(wecom, endpoint)

    assert [] == leaks(everything_about(error))
    assert [] == leaks(logged.getvalue())


ECHO = json.dumps({"errcode": 40084, "errmsg": " ".join(SECRETS)}).encode()
SAID = {
    **BROKEN_HTTP,
    "a refusal that repeats all of it": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
    % (len(ECHO), ECHO),
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
async def test_no_secret_of_a_suite_gets_into_an_error_or_a_log(
    around: Surroundings, logged: io.StringIO, said: bytes
) -> None:
    told: list[str] = []
    async with speaking(said) as (url, heard), around.wecom(url) as wecom:
        tokens, authorizations = SuiteTokenEndpoints(wecom.client), AuthorizationEndpoints(wecom.client)
        for asked in (
            tokens.fetch_suite_token(SUITE, TICKET),
            tokens.fetch_provider_token(PROVIDER),
            tokens.fetch_corp_token(SUITE_TOKEN, APP),
            authorizations.fetch_pre_auth_code(SUITE_TOKEN),
            authorizations.exchange_auth_code(SUITE_TOKEN, AUTH_CODE),
            authorizations.read_authorization(SUITE_TOKEN, APP),
            authorizations.read_editions(SUITE_TOKEN, APP),
            authorizations.read_permissions(CORP_TOKEN),
        ):
            with pytest.raises(BrokerError) as failed:
                await asked
            told.append(everything_about(failed.value))

    assert [] == [secret for secret in SECRETS if secret in "\n".join([*told, logged.getvalue()])]
    # In the query there is never anything but a token.
    lines = b"\n".join(head.split(b"\r\n")[0] for head in heard).decode()
    assert {SUITE_TOKEN.value.reveal(), CORP_TOKEN.value.reveal()} == {one for one in SECRETS if one in lines}


async def test_no_address_that_nobody_listens_at_brings_a_secret_into_an_error_or_a_log(
    around: Surroundings, logged: io.StringIO
) -> None:
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        error = await fail(wecom, GETTOKEN)

    assert [] == leaks(everything_about(error))
    assert [] == leaks(logged.getvalue())


def test_the_net_would_catch_a_log_line(logged: io.StringIO) -> None:
    logging.getLogger("aiohttp.client").debug("of aiohttp")
    structlog.get_logger("wecom_broker").debug("of the broker")

    assert ["of aiohttp", "of the broker"] == re.findall(r"of \w+(?: broker)?", logged.getvalue())


async def test_an_error_has_nothing_of_the_library_behind_it(around: Surroundings) -> None:
    # The library's exceptions carry the request, and so the URL.
    async with around.wecom(f"http://127.0.0.1:{free_port()}") as wecom:
        error = await fail(wecom, GETTOKEN)

    assert (None, None) == (error.__cause__, error.__context__)


async def test_a_grant_does_not_show_its_token(around: Surroundings, world: World, url: str) -> None:
    world.add_app(PARENT_CORP, 7, SECRET_VALUE)
    async with around.wecom(url) as wecom:
        grant = await wecom.fetch_app_token(app(Secret(SECRET_VALUE)))

    assert grant.value.reveal() not in repr(grant)


async def test_a_token_travels_in_the_query_and_nowhere_else(around: Surroundings) -> None:
    async with (
        speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") as (url, heard),
        around.wecom(url) as wecom,
    ):
        with pytest.raises(BrokerError):
            await wecom.list_app_shares(parent_with(TOKEN_VALUE), ShareKind.CORP_GROUP)

    assert TOKEN_VALUE.encode() in heard[0].split(b"\r\n")[0]
    assert TOKEN_VALUE.encode() not in b"".join(heard[0].split(b"\r\n")[1:])
