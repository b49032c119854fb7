"""Each refusal is recorded by the guard, whoever raised it, and each action of an operator."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb
from wecom_broker.v1.target_pb2 import Target

from broker.domain.access import Action, Caller, Rule
from broker.domain.audit import AuditOutcome, AuditTarget
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import BrokerError, CallerLimited, SecretRejected, WecomUnavailable
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.server.grpc.entry.subjects import Subjects
from tests.kit.memory.audit_trail import MemoryTrail
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import Context, bearer

ORDERS = Caller(
    "orders",
    token_sha256=hashlib.sha256(b"orders").hexdigest(),
    rules=(
        Rule(
            ("crm",),
            ("ww1",),
            frozenset({Action.TOKEN_GET, Action.API_CALL, Action.ADMIN_REFRESH}),
            ("/cgi-bin/user/get",),
        ),
    ),
)
SUBJECTS = Subjects({"crm": "ww0"}, {"market": Action.SUITE_TOKEN})
GET = "/wecom_broker.v1.TokenService/GetAccessToken"
CALL = "/wecom_broker.v1.WecomApiService/CallApi"
REFRESH = "/wecom_broker.v1.AdminService/RefreshCredential"

Handler = Callable[[Any, Any], Awaitable[object]]


class Door:
    """Handlers behind a guard, and what is recorded of their calls."""

    def __init__(self) -> None:
        self.trail = MemoryTrail()
        self.policy = CallerPolicy((ORDERS,))
        self.rights = Rights(self.policy, SUBJECTS)
        self._guard = guard_of(self.policy, SUBJECTS, trail=self.trail)

    async def send(self, method: str, request: object, handler: Handler, context: Context) -> None:
        """Send a request through the guard, in a task of its own as gRPC does it."""
        guarded: Any = self._guard.guard(method, grpc.unary_unary_rpc_method_handler(handler))
        try:
            await asyncio.create_task(guarded.unary_unary(request, context))
        except grpc.aio.AbortError:
            assert context.aborted

    @property
    def recorded(self) -> list[tuple[str, ...]]:
        """Return the main fields of all records."""
        return [
            (record.outcome, record.caller, record.action, record.operation, record.reason)
            for record in self.trail.records
        ]


@pytest.fixture
def door() -> Door:
    return Door()


@requires(Action.TOKEN_GET)
async def token(_request: object, _context: object) -> object:
    return "answer"


def failing(error: BrokerError, **declared: Any) -> Handler:
    @requires(declared.pop("action", Action.TOKEN_GET), **declared)
    async def fail(_request: object, _context: object) -> object:
        raise error

    return fail


def asked(app: str = "crm", corp_id: str = "ww1") -> token_pb.GetAccessTokenRequest:
    return token_pb.GetAccessTokenRequest(target=Target(app=app, corp_id=corp_id))


async def test_what_is_allowed_leaves_no_refusal(door: Door) -> None:
    await door.send(GET, asked(), token, bearer("orders"))

    assert [] == door.recorded


@pytest.mark.parametrize("context", [Context(), bearer("wrong")])
async def test_somebody_unknown_is_recorded_without_a_name_and_with_his_address(
    door: Door, context: Context
) -> None:
    await door.send(GET, asked(), token, context)

    assert [("refused", "", "token.get", "GetAccessToken", "UNAUTHENTICATED")] == door.recorded
    (record,) = door.trail.records
    assert ("192.0.2.7", AuditTarget()) == (record.peer, record.target)


async def test_a_right_that_is_missing_is_recorded_with_what_was_asked_for(door: Door) -> None:
    await door.send(GET, asked(corp_id="ww2"), token, bearer("orders"))
    await door.send(GET, asked(app="market", corp_id=""), token, bearer("orders"))

    assert ("refused", "orders", "token.get", "GetAccessToken", "CALLER_NOT_ALLOWED") == door.recorded[0]
    assert AuditTarget("crm", "ww2") == door.trail.records[0].target


async def test_another_action_than_the_method_s_is_named(door: Door) -> None:
    await door.send(GET, asked(app="market", corp_id=""), token, bearer("orders"))

    assert [("refused", "orders", "suite.token", "GetAccessToken", "CALLER_NOT_ALLOWED")] == door.recorded


async def test_what_a_handler_refuses_is_recorded_with_its_path(door: Door) -> None:
    @requires(Action.API_CALL, of=Of.HANDLER)
    async def call(request: Any, _context: object) -> object:
        door.rights.grant(request.target.app, request.target.corp_id, request.path)
        return "answer"

    request = api_pb.CallApiRequest(target=Target(app="crm", corp_id="ww1"), path="/cgi-bin/user/delete")
    await door.send(CALL, request, call, bearer("orders"))

    assert AuditTarget("crm", "ww1", path="/cgi-bin/user/delete") == door.trail.records[0].target


async def test_who_asks_too_often_is_recorded(door: Door) -> None:
    await door.send(GET, asked(), failing(CallerLimited("too many calls")), bearer("orders"))

    assert [("refused", "orders", "token.get", "GetAccessToken", "CALLER_LIMITED")] == door.recorded
    assert AuditTarget("crm", "ww1") == door.trail.records[0].target


async def test_an_outage_is_no_refusal(door: Door) -> None:
    await door.send(GET, asked(), failing(WecomUnavailable("busy")), bearer("orders"))

    assert [] == door.recorded


async def test_a_flood_of_refusals_is_one_record_for_now(door: Door) -> None:
    for _ in range(200):
        await door.send(GET, asked(corp_id="ww2"), token, bearer("orders"))

    assert 1 == len(door.recorded)


async def test_what_an_operator_does_is_recorded_whether_it_works_or_not(door: Door) -> None:
    @requires(Action.ADMIN_REFRESH, operates=True)
    async def refresh(_request: object, _context: object) -> object:
        return "answer"

    request = admin_pb.RefreshCredentialRequest(target=Target(app="crm", corp_id="ww1"))
    await door.send(REFRESH, request, refresh, bearer("orders"))
    fails = failing(SecretRejected("wrong"), action=Action.ADMIN_REFRESH, operates=True)
    await door.send(REFRESH, request, fails, bearer("orders"))

    assert [
        (AuditOutcome.OPERATED, "orders", "admin.refresh", "RefreshCredential", ""),
        (AuditOutcome.OPERATED, "orders", "admin.refresh", "RefreshCredential", "SECRET_REJECTED"),
    ] == door.recorded
    assert {AuditTarget("crm", "ww1")} == {record.target for record in door.trail.records}


async def test_who_leaves_before_the_answer_is_recorded_all_the_same(door: Door) -> None:
    began = asyncio.Event()

    @requires(Action.ADMIN_REFRESH, operates=True)
    async def refresh(_request: object, _context: object) -> object:
        began.set()
        return await asyncio.Event().wait()

    request = admin_pb.RefreshCredentialRequest(target=Target(app="crm", corp_id="ww1"))
    call = asyncio.create_task(door.send(REFRESH, request, refresh, bearer("orders")))
    await began.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert [(AuditOutcome.OPERATED, "orders", "admin.refresh", "RefreshCredential", "CANCELLED")] == (
        door.recorded
    )


@pytest.mark.parametrize(
    "context", [Context(), bearer("orders")], ids=["a stranger", "a caller without the right"]
)
async def test_who_leaves_before_being_let_in_has_operated_nothing(door: Door, context: Context) -> None:
    """The refusals of a flood are kept back; it may reset its calls meanwhile."""

    @requires(Action.ADMIN_REFRESH, operates=True)
    async def refresh(_request: object, _context: object) -> object:
        return "answer"

    request = admin_pb.RefreshCredentialRequest(target=Target(app="crm", corp_id="ww2"))
    calls = [asyncio.create_task(door.send(REFRESH, request, refresh, context)) for _ in range(300)]
    while not all(call.done() for call in calls[:50]):
        await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert {AuditOutcome.REFUSED} == {outcome for outcome, *_ in door.recorded}


async def test_what_an_operator_may_not_do_is_a_refusal(door: Door) -> None:
    @requires(Action.ADMIN_REFRESH, operates=True)
    async def refresh(_request: object, _context: object) -> object:
        return "answer"

    request = admin_pb.RefreshCredentialRequest(target=Target(app="crm", corp_id="ww2"))
    await door.send(REFRESH, request, refresh, bearer("orders"))

    assert [(AuditOutcome.REFUSED, "orders", "admin.refresh", "RefreshCredential", "CALLER_NOT_ALLOWED")] == (
        door.recorded
    )


async def test_a_malformed_name_is_not_in_the_trail(door: Door) -> None:
    handler = failing(CallerLimited("too many calls"))
    await door.send(GET, asked(app="a b\n" * 99, corp_id="../.."), handler, bearer("orders"))

    assert [AuditTarget()] == [record.target for record in door.trail.records]
