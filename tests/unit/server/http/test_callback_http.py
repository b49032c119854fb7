"""The door for callbacks: how each outcome is answered, counted and told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession, web

from broker.domain.errors import (
    BrokerError,
    EnvelopeRejected,
    InvalidRequest,
    SecretRejected,
    StoreUnavailable,
    UnknownApp,
    WecomUnavailable,
)
from broker.domain.events.event import EnvelopeProblem
from broker.server.http.callbacks import CallbackEndpoint
from broker.server.http.forwarded import Forwarded
from broker.usecases.callbacks.decoder import Signed

MARK = "SaidInConfidence"
QUERY = {"msg_signature": "a", "timestamp": "1", "nonce": "2"}
PROBLEMS = {
    EnvelopeProblem.FORMAT: 400,
    EnvelopeProblem.ENCODING: 400,
    EnvelopeProblem.PADDING: 400,
    EnvelopeProblem.LENGTH: 400,
    EnvelopeProblem.SIGNATURE: 403,
    EnvelopeProblem.TIMESTAMP: 403,
    EnvelopeProblem.RECEIVE_ID: 403,
    EnvelopeProblem.SENDER: 403,
    EnvelopeProblem.SIZE: 413,
}


class Inbox:
    """Takes all, or does as a test says."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.unknown: Exception | None = None
        self.is_new = True
        self.echo = b"1616"
        self.got: list[tuple[Any, ...]] = []

    def callback(self, name: str, corp_id: str) -> str:
        if self.unknown:
            raise self.unknown
        return f"the app {name}" + (f" at {corp_id}" if corp_id else "")

    async def verify_url(self, *given: Any) -> bytes:
        return self._take(*given) and self.echo

    async def receive(self, *given: Any) -> bool:
        return self._take(*given) and self.is_new

    def _take(self, *given: Any) -> bool:
        self.got.append(given)
        if self.fails:
            raise self.fails
        return True


class Witness:
    """Counts what ended how."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()

    def callback_ended(self, app: str, outcome: str, duration: timedelta) -> None:
        assert timedelta(0) < duration < timedelta(seconds=10)
        self.ended[app, outcome] += 1


Ask = Callable[..., Awaitable[tuple[int, bytes]]]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
async def ask(inbox: Inbox, witness: Witness) -> AsyncIterator[Ask]:
    """Serve the door alone, and call it."""
    door = CallbackEndpoint(inbox, Forwarded(["127.0.0.1"]), witness)  # type: ignore[arg-type]
    application = web.Application(client_max_size=1000)
    application.add_routes(door.routes())
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with ClientSession() as session:

        async def call(method: str = "POST", **options: Any) -> tuple[int, bytes]:
            wanted = {"params": QUERY, **options}
            path = wanted.pop("path", "/callback/crm")
            async with session.request(method, f"{url}{path}", **wanted) as answer:
                return answer.status, await answer.read()

        yield call
    await runner.cleanup()


@pytest.mark.parametrize("is_new", [True, False])
async def test_what_was_taken_is_answered_success(
    ask: Ask, inbox: Inbox, witness: Witness, is_new: bool
) -> None:
    inbox.is_new = is_new

    assert (200, b"success") == await ask(data=b"<xml/>")
    assert {("crm", "accepted" if is_new else "repeated"): 1} == witness.ended
    assert [("the app crm", Signed("a", "1", "2"), b"<xml/>", "127.0.0.1")] == inbox.got


async def test_a_verification_is_answered_with_the_very_bytes(
    ask: Ask, inbox: Inbox, witness: Witness
) -> None:
    inbox.echo = b"\xef\xbb\xbf \xff\n"

    assert (200, inbox.echo) == await ask("GET", params={**QUERY, "echostr": "a+b c/d="})
    assert {("crm", "verified"): 1} == witness.ended
    assert [("the app crm", Signed("a", "1", "2"), "a+b+c/d=", "127.0.0.1")] == inbox.got


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("/callback/crm/", "the app crm"),
        ("/callback/crm/wpGk7dBwAAc8", "the app crm at wpGk7dBwAAc8"),
        ("/callback/crm/wpGk7dBwAAc8/", "the app crm at wpGk7dBwAAc8"),
    ],
)
async def test_a_client_has_a_url_below_the_app_s_and_a_slash_at_the_end_is_taken(
    ask: Ask, inbox: Inbox, path: str, called: str
) -> None:
    assert (200, b"success") == await ask(data=b"<xml/>", path=path)
    assert (200, b"1616") == await ask("GET", path=path)

    assert [called] * 2 == [given[0] for given in inbox.got]


@pytest.mark.parametrize("path", ["/callback", "/callback/", "/callback/crm//", "/callback/crm/a/b"])
async def test_there_are_no_other_callback_urls(ask: Ask, inbox: Inbox, path: str) -> None:
    assert 404 == (await ask(data=b"<xml/>", path=path))[0]
    assert [] == inbox.got


async def test_the_sender_is_who_the_proxy_says(ask: Ask, inbox: Inbox) -> None:
    await ask(headers={"X-Forwarded-For": "9.9.9.9, 101.226.103.9"})
    await ask("GET", headers={"X-Forwarded-For": "101.226.103.9"})

    assert ["101.226.103.9"] * 2 == [given[-1] for given in inbox.got]


def test_every_problem_of_an_envelope_has_its_status() -> None:
    assert set(EnvelopeProblem) == set(PROBLEMS)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        *(
            (EnvelopeRejected(problem, MARK, receive_id=MARK), status, problem.value)
            for problem, status in PROBLEMS.items()
        ),
        (InvalidRequest("nonce", "is required"), 400, "query"),
        (StoreUnavailable(MARK), 503, "store_unavailable"),
        (WecomUnavailable(MARK), 503, "wecom_unavailable"),
        (SecretRejected(MARK), 500, "secret_rejected"),
    ],
)
async def test_a_refusal_is_a_status_and_no_more(
    ask: Ask, inbox: Inbox, witness: Witness, method: str, error: BrokerError, status: int, outcome: str
) -> None:
    inbox.fails = error

    assert (status, b"refused\n") == await ask(method)
    assert {("crm", outcome): 1} == witness.ended


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("error", "label", "outcome"),
    [
        (UnknownApp("no such app", app=MARK), "", "unknown_app"),
        (InvalidRequest("app", "has no callback"), "crm", "no_callback"),
    ],
)
@pytest.mark.parametrize("query", [QUERY, {}])
async def test_an_app_that_takes_nothing_is_told_before_anything_else(
    ask: Ask,
    inbox: Inbox,
    witness: Witness,
    method: str,
    error: BrokerError,
    label: str,
    outcome: str,
    query: dict[str, str],
) -> None:
    inbox.unknown = error
    body = b"x" * 5000 if method == "POST" else None

    assert (404, b"refused\n") == await ask(method, params=query, data=body)
    assert {(label, outcome): 1} == witness.ended
    assert [] == inbox.got


@pytest.mark.parametrize("missing", QUERY)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_query_that_is_not_whole_is_not_looked_at(
    ask: Ask, inbox: Inbox, witness: Witness, method: str, missing: str
) -> None:
    query = {name: value for name, value in QUERY.items() if name != missing}

    assert (400, b"refused\n") == await ask(method, params=query)
    assert ({("crm", "query"): 1}, []) == (witness.ended, inbox.got)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_unexpected_is_an_incident_that_shows_nothing(
    ask: Ask, inbox: Inbox, witness: Witness, method: str
) -> None:
    inbox.fails = ZeroDivisionError(MARK)
    with structlog.testing.capture_logs() as logs:
        status, body = await ask(method)
    [line] = logs

    assert 500 == status
    assert body == f"internal error, incident {line['incident']}\n".encode()
    assert ("error", "crm") == (line["log_level"], line["callback"])
    assert {("crm", "failed"): 1} == witness.ended


async def test_one_kind_of_refusal_is_a_warning_once_a_minute(ask: Ask, inbox: Inbox) -> None:
    with structlog.testing.capture_logs() as logs:
        for problem in (EnvelopeProblem.SIGNATURE, EnvelopeProblem.FORMAT) * 5:
            inbox.fails = EnvelopeRejected(problem, "no")
            await ask()
    levels = Counter((line["outcome"], line["log_level"]) for line in logs)

    assert {
        ("signature", "warning"): 1,
        ("signature", "debug"): 4,
        ("format", "warning"): 1,
        ("format", "debug"): 4,
    } == levels


async def test_a_body_that_is_too_large_is_not_kept(ask: Ask, inbox: Inbox, witness: Witness) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100
            await asyncio.sleep(0)

    assert (413, b"refused\n") == await ask(data=b"x" * 1001)
    assert (413, b"refused\n") == await ask(data=pieces())
    assert (200, b"success") == await ask(data=b"x" * 1000)
    assert {("crm", "size"): 2, ("crm", "accepted"): 1} == witness.ended


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_for_the_door(ask: Ask, witness: Witness, method: str) -> None:
    assert 405 == (await ask(method))[0]
    assert {} == witness.ended
