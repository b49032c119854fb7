"""The tokens of suites, providers and third-party apps: what is asked of WeCom, and what it answers."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import pytest

from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.suites.tokens import SuiteTokenEndpoints
from broker.domain.credentials import Grant
from broker.domain.errors import (
    BrokerError,
    ReauthorizationRequired,
    SecretRejected,
    SuiteTicketMissing,
    TokenRejected,
    WecomProtocol,
)
from broker.domain.secret import Secret
from tests.unit.wecom_http.recorders import Surroundings, answering
from tests.unit.wecom_http.suites import APP, CORP, PROVIDER, SUITE, SUITE_TOKEN, TICKET, Heard, recorded

Fetch = Callable[[WecomClient], Awaitable[Grant]]
SUITE_PATH = "/cgi-bin/service/get_suite_token"
PROVIDER_PATH = "/cgi-bin/service/get_provider_token"
CORP_PATH = "/cgi-bin/service/get_corp_token"


async def fetch_suite_token(client: WecomClient) -> Grant:
    return await SuiteTokenEndpoints(client).fetch_suite_token(SUITE, TICKET)


async def fetch_provider_token(client: WecomClient) -> Grant:
    return await SuiteTokenEndpoints(client).fetch_provider_token(PROVIDER)


async def fetch_corp_token(client: WecomClient) -> Grant:
    return await SuiteTokenEndpoints(client).fetch_corp_token(SUITE_TOKEN, APP)


CALLS: list[tuple[Fetch, str, str, dict[str, str], dict[str, str]]] = [
    (
        fetch_suite_token,
        SUITE_PATH,
        "suite_access_token",
        {},
        {
            "suite_id": SUITE.suite_id,
            "suite_secret": SUITE.secret.reveal(),
            "suite_ticket": TICKET.reveal(),
        },
    ),
    (
        fetch_provider_token,
        PROVIDER_PATH,
        "provider_access_token",
        {},
        {"corpid": PROVIDER.corp_id, "provider_secret": PROVIDER.secret.reveal()},
    ),
    (
        fetch_corp_token,
        CORP_PATH,
        "access_token",
        {"suite_access_token": SUITE_TOKEN.value.reveal()},
        {"auth_corpid": CORP, "permanent_code": APP.secret.reveal()},
    ),
]
EACH = pytest.mark.parametrize(
    ("fetch", "path", "name", "query", "body"), CALLS, ids=["suite", "provider", "corp"]
)


@EACH
@pytest.mark.parametrize("success", [{}, {"errcode": 0, "errmsg": "ok"}], ids=["bare", "errcode 0"])
async def test_a_secret_travels_in_the_body_and_a_token_in_the_query(
    around: Surroundings,
    fetch: Fetch,
    path: str,
    name: str,
    query: dict[str, str],
    body: dict[str, str],
    success: Mapping[str, object],
) -> None:
    async with (
        recorded({**success, name: "the-new-token", "expires_in": 7200}) as (url, heard),
        around.wecom(url) as wecom,
    ):
        grant = await fetch(wecom.client)

    assert [Heard("POST", path, query, body)] == heard
    assert (Secret("the-new-token"), timedelta(hours=2)) == (grant.value, grant.lifetime)


@EACH
async def test_no_other_token_in_the_answer_is_taken_for_it(
    around: Surroundings, fetch: Fetch, path: str, name: str, query: object, body: object
) -> None:
    names = {"access_token", "suite_access_token", "provider_access_token"} - {name}
    async with (
        answering({**dict.fromkeys(names, "another-token"), "expires_in": 7200}) as (url, _),
        around.wecom(url) as wecom,
    ):
        with pytest.raises(WecomProtocol, match=name):
            await fetch(wecom.client)


@pytest.mark.parametrize(
    ("fetch", "path", "corp_id"),
    [
        (fetch_suite_token, SUITE_PATH, ""),
        (fetch_provider_token, PROVIDER_PATH, PROVIDER.corp_id),
        (fetch_corp_token, CORP_PATH, APP.corp_id),
    ],
)
async def test_a_call_counts_for_the_corp_that_it_is_about(
    around: Surroundings, fetch: Fetch, path: str, corp_id: str
) -> None:
    async with answering({"errcode": 40084}) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(BrokerError) as refused:
            await fetch(wecom.client)

    assert [("enter", path, corp_id, None), ("leave", path, corp_id, refused.value)] == around.gate.told


@pytest.mark.parametrize(
    ("fetch", "errcode", "kind"),
    [
        (fetch_suite_token, 40085, SuiteTicketMissing),
        (fetch_suite_token, 40080, SecretRejected),
        (fetch_suite_token, 40083, SecretRejected),
        (fetch_suite_token, 41024, WecomProtocol),
        (fetch_provider_token, 40001, SecretRejected),
        (fetch_corp_token, 40084, ReauthorizationRequired),
        (fetch_corp_token, 48004, ReauthorizationRequired),
        (fetch_corp_token, 40082, TokenRejected),
        (fetch_corp_token, 42009, TokenRejected),
        (fetch_corp_token, 2000002, SecretRejected),
    ],
)
async def test_a_refusal_says_who_must_act(
    around: Surroundings, fetch: Fetch, errcode: int, kind: type[BrokerError]
) -> None:
    async with answering({"errcode": errcode, "errmsg": "no"}) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(kind) as refused:
            await fetch(wecom.client)

    assert str(errcode) == refused.value.metadata["errcode"]
