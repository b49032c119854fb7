"""A provider, its suites and their tokens, as the adapter is given them; a WeCom that records requests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from broker.domain.apps import App, AppKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.secret import Secret
from broker.domain.suites.suite import Provider, Suite

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CORP = "wpGk7dBwAAx2JpQmT4uLrE9sVhYcNoZA"
CHILD = "wpGk7dBwAAc8HtWn1yRvKfD0qXbSmUiQ"
PROVIDER = Provider("acme", "ww5d0e9b21c7a4f683", Secret("the-provider-secret-itself"))
SUITE = Suite(
    "market", AppKind.THIRD_PARTY, "ww8f3c1d5a77e0b942", Secret("the-suite-secret-itself"), PROVIDER
)
APP = App("market", AppKind.THIRD_PARTY, CORP, 1000007, Secret("the-permanent-code-itself"))
TICKET = Secret("the-suite-ticket-itself")
AUTH_CODE = Secret("the-auth-code-itself-" + "x" * 64)


def token(key: CredentialKey, value: str) -> Credential:
    """Return a credential as the engine would hold it."""
    return Credential(key, Secret(value), 1, 1, NOW, NOW + timedelta(hours=2), NOW)


SUITE_TOKEN = token(CredentialKey.suite_token(SUITE), "the-suite-token-itself")
PROVIDER_TOKEN = token(CredentialKey.provider_token(PROVIDER), "the-provider-token-itself")
CORP_TOKEN = token(CredentialKey.own_token(APP), "the-corp-token-itself")
SECRETS = (
    *(secret.reveal() for secret in (PROVIDER.secret, SUITE.secret, APP.secret, TICKET, AUTH_CODE)),
    *(credential.value.reveal() for credential in (SUITE_TOKEN, PROVIDER_TOKEN, CORP_TOKEN)),
)


@dataclass(frozen=True)
class Heard:
    """One request that reached WeCom."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@asynccontextmanager
async def recorded(*answers: Mapping[str, object]) -> AsyncIterator[tuple[str, list[Heard]]]:
    """Serve these answers in turn, the last one for ever; yields the URL and the requests that came."""
    heard: list[Heard] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        heard.append(Heard(request.method, request.path, dict(request.query), body))
        return web.json_response(answers[min(len(heard), len(answers)) - 1])

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", heard
    finally:
        await runner.cleanup()
