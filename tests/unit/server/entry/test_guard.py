"""What every request passes: identity → policy → the handler → metrics → errors."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from structlog.testing import capture_logs
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from broker.domain.access import ANYONE, Action, Caller, Limits, Rule
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import AppNotShared, InvalidRequest, TokenRejected
from broker.server.grpc.entry.admission import MOST_KEPT_BACK, REFUSALS_AT_ONCE, Admission
from broker.server.grpc.entry.authorizer import Authorizer
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.late_requests import LATE
from broker.server.grpc.entry.rights import Of, Requirement, Rights, Undeclared, requires
from broker.server.grpc.entry.subjects import Subjects
from broker.telemetry.metrics import Metrics
from tests.kit.actions import ACTIONS
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import Context, bearer, error_info

GET = "/wecom_broker.v1.TokenService/GetAccessToken"
WATCH = "/wecom_broker.v1.TokenService/WatchAccessToken"
LIST = "/wecom_broker.v1.AppShareService/ListAppShares"
STATUS = "/wecom_broker.v1.AdminService/GetStatus"
MARKER = "TextOfTheException"
ORDERS = Caller(
    "orders",
    token_sha256=hashlib.sha256(b"orders").hexdigest(),
    rules=(Rule(("crm",), ("ww1", "ww0parent"), frozenset({Action.TOKEN_GET})),),
)


CRM_ALONE = Subjects({"crm": "ww0parent"})


class Door:
    """A doorway before handlers of the test's."""

    def __init__(self, policy: CallerPolicy | None = None, subjects: Subjects = CRM_ALONE) -> None:
        self.metrics = Metrics()
        self.handled: list[object] = []
        self._guard = guard_of(policy or CallerPolicy((ORDERS,)), subjects, self.metrics)

    async def unary(
        self,
        request: object,
        context: Context,
        method: str = GET,
        handler: Callable[[Any, Any], Awaitable[object]] | None = None,
    ) -> object:
        """Send a request through the door."""

        async def handle(request: object, _context: object) -> object:
            self.handled.append(request)
            return "answered"

        of = Of.REQUEST_OR_ALL_APPS if method == STATUS else Of.REQUEST
        declared = requires(ACTIONS[method], of=of)(handler or handle)
        guarded: Any = self._guard.guard(method, grpc.unary_unary_rpc_method_handler(declared))
        return await guarded.unary_unary(request, context)

    async def stream(
        self,
        request: object,
        context: Context,
        handler: Callable[[Any, Any], AsyncIterator[object]],
        of: Of = Of.REQUEST,
    ) -> list[object]:
        """Send a request through the door of a stream; return what was written until it ended."""
        declared = requires(ACTIONS[WATCH], of=of)(handler)
        guarded: Any = self._guard.guard(WATCH, grpc.unary_stream_rpc_method_handler(declared))
        await guarded.unary_stream(request, context)
        return context.written

    def counted(self) -> dict[tuple[str, str], int]:
        """Return how many requests ended how."""
        return self.metrics.requests.counted()


def asking(app: str = "crm", corp_id: str = "ww1") -> token_pb.GetAccessTokenRequest:
    message = token_pb.GetAccessTokenRequest()
    message.target.app, message.target.corp_id = app, corp_id
    return message


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def _unreached(_request: object, _context: object) -> object:
    raise AssertionError("a stranger got in")


async def refusal(door: Door, request: object, context: Context, method: str = GET) -> str:
    with pytest.raises(grpc.aio.AbortError):
        await door.unary(request, context, method)
    return str(error_info(context.rich).reason)


class SlowContext(Context):
    """A call whose request comes only once the caller's token was replaced."""

    policy: CallerPolicy

    async def read(self) -> object:
        replaced = replace(ORDERS, token_sha256=hashlib.sha256(b"another").hexdigest())
        self.policy.replace((replaced,))
        return asking().SerializeToString()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_token_that_is_replaced_while_its_call_waits_opens_nothing(is_stream: bool) -> None:
    async def watch(_request: object, _context: object) -> AsyncIterator[object]:
        yield "a token"

    policy = CallerPolicy((ORDERS,))
    door, context = Door(policy), SlowContext(bearer("orders").metadata)
    context.policy = policy
    with pytest.raises(grpc.aio.AbortError):
        await (door.stream(LATE, context, watch) if is_stream else door.unary(LATE, context))

    assert "UNAUTHENTICATED" == error_info(context.rich).reason
    assert [] == door.handled + context.written


# --- who may pass


async def test_a_caller_that_may_is_let_in_and_known_inside() -> None:
    door = Door()
    seen: list[Caller] = []

    async def handle(_request: object, _context: object) -> str:
        seen.append(current_caller.get())
        return "answered"

    assert "answered" == await door.unary(asking(), bearer("orders"), handler=handle)
    assert [ORDERS] == seen


@pytest.mark.parametrize(
    ("request_", "context", "method", "reason"),
    [
        (asking(), Context(), GET, "UNAUTHENTICATED"),
        (asking(), bearer("wrong"), GET, "UNAUTHENTICATED"),
        (asking(corp_id="ww2"), bearer("orders"), GET, "CALLER_NOT_ALLOWED"),
        (asking(app="hr"), bearer("orders"), GET, "CALLER_NOT_ALLOWED"),
        (share_pb.ListAppSharesRequest(app="crm"), bearer("orders"), LIST, "CALLER_NOT_ALLOWED"),
        (object(), bearer("orders"), STATUS, "CALLER_NOT_ALLOWED"),
    ],
)
async def test_others_are_turned_away_before_anything_is_done(
    request_: object, context: Context, method: str, reason: str
) -> None:
    door = Door()

    assert reason == await refusal(door, request_, context, method)
    assert [] == door.handled


SUBJECTS = Subjects(
    {"crm": "ww0parent", "acme": "ww0acme"},
    {"market": Action.SUITE_TOKEN, "acme": Action.PROVIDER_TOKEN},
)
REPORT = "/wecom_broker.v1.TokenService/ReportInvalidToken"
REFRESH = "/wecom_broker.v1.AdminService/RefreshCredential"


@pytest.mark.parametrize(
    ("app", "corp_id", "method", "action"),
    [
        ("crm", "", GET, Action.TOKEN_GET),
        ("market", "wp1", GET, Action.TOKEN_GET),
        ("market", "wp1", REPORT, Action.TOKEN_REPORT),
        ("market", "", GET, Action.SUITE_TOKEN),
        ("market", "", REPORT, Action.SUITE_TOKEN),
        ("acme", "", GET, Action.PROVIDER_TOKEN),
        ("acme", "ww0acme", GET, Action.PROVIDER_TOKEN),
        ("acme", "ww0acme", REPORT, Action.PROVIDER_TOKEN),
        ("market", "", REFRESH, Action.ADMIN_REFRESH),
    ],
)
async def test_a_suites_and_a_providers_own_token_need_an_action_of_their_own(
    app: str, corp_id: str, method: str, action: Action
) -> None:
    def door(actions: frozenset[Action]) -> Door:
        rules = (Rule(("*",), ("*",), actions),)
        limited = Caller("limited", token_sha256=hashlib.sha256(b"limited").hexdigest(), rules=rules)
        return Door(CallerPolicy((limited,)), SUBJECTS)

    request = asking(app, corp_id)
    assert "answered" == await door(frozenset({action})).unary(request, bearer("limited"), method)
    others = door(frozenset(Action) - {action})
    assert "CALLER_NOT_ALLOWED" == await refusal(others, request, bearer("limited"), method)


@pytest.mark.parametrize(
    ("app", "corps", "is_allowed"),
    [
        ("market", ("wp1",), False),
        ("market", ("*",), True),
        ("acme", ("ww0acme",), True),
        ("acme", ("wp1",), False),
    ],
)
async def test_no_corp_of_a_suite_is_none_that_a_rule_names(
    app: str, corps: tuple[str, ...], is_allowed: bool
) -> None:
    rules = (Rule((app,), corps, frozenset(Action)),)
    limited = Caller("limited", token_sha256=hashlib.sha256(b"limited").hexdigest(), rules=rules)
    door = Door(CallerPolicy((limited,)), SUBJECTS)
    if is_allowed:
        assert "answered" == await door.unary(asking(app, ""), bearer("limited"))
    else:
        assert "CALLER_NOT_ALLOWED" == await refusal(door, asking(app, ""), bearer("limited"))


async def test_a_corp_that_was_allowed_does_not_open_the_suite() -> None:
    rules = (Rule(("market",), ("*",), frozenset({Action.TOKEN_GET})),)
    limited = Caller("limited", token_sha256=hashlib.sha256(b"limited").hexdigest(), rules=rules)
    door = Door(CallerPolicy((limited,)), SUBJECTS)

    assert "answered" == await door.unary(asking("market", "wp1"), bearer("limited"))
    assert "CALLER_NOT_ALLOWED" == await refusal(door, asking("market", ""), bearer("limited"))


NAMING = [
    ("/wecom_broker.v1.TokenService/GetAccessToken", lambda corp_id: asking(corp_id=corp_id)),
    (
        "/wecom_broker.v1.IdentityService/GetUserProfile",
        lambda corp_id: identity_pb.GetUserProfileRequest(app="crm", corp_id=corp_id),
    ),
    (LIST, lambda corp_id: share_pb.ListAppSharesRequest(app="crm", parent_corp_id=corp_id)),
]


@pytest.mark.parametrize(("method", "naming"), NAMING, ids=["target", "corp_id", "parent_corp_id"])
async def test_the_corp_that_a_request_names_is_the_one_that_counts(
    method: str, naming: Callable[[str], object]
) -> None:
    rule = Rule(("crm",), ("ww1",), frozenset(Action))
    limited = Caller("limited", token_sha256=hashlib.sha256(b"limited").hexdigest(), rules=(rule,))
    door = Door(CallerPolicy((limited,)))

    assert "answered" == await door.unary(naming("ww1"), bearer("limited"), method)
    assert "CALLER_NOT_ALLOWED" == await refusal(door, naming("ww2"), bearer("limited"), method)
    assert "CALLER_NOT_ALLOWED" == await refusal(door, naming(""), bearer("limited"), method)


async def test_an_app_s_own_corp_is_meant_where_none_is_named() -> None:
    door = Door()

    assert "answered" == await door.unary(asking(corp_id=""), bearer("orders"))


async def test_rights_are_checked_on_every_call_and_for_every_caller() -> None:
    stranger = Caller("stranger", token_sha256=hashlib.sha256(b"stranger").hexdigest())
    door = Door(CallerPolicy((ORDERS, stranger)))

    for _ in range(3):
        assert "answered" == await door.unary(asking(), bearer("orders"))
        assert "CALLER_NOT_ALLOWED" == await refusal(door, asking(), bearer("stranger"))
    assert 3 == len(door.handled)


async def test_what_is_allowed_for_one_rpc_is_not_allowed_for_another() -> None:
    door = Door()
    await door.unary(asking(), bearer("orders"))
    report = "/wecom_broker.v1.TokenService/ReportInvalidToken"

    assert "CALLER_NOT_ALLOWED" == await refusal(door, asking(), bearer("orders"), report)


async def test_without_configured_callers_everybody_is_let_in_as_anyone() -> None:
    door = Door(CallerPolicy())
    seen: list[Caller] = []

    async def handle(_request: object, _context: object) -> None:
        seen.append(current_caller.get())

    await door.unary(asking(), Context(), handler=handle)
    assert [ANYONE] == seen


@pytest.mark.parametrize(
    "request_",
    [asking(app=""), asking(app="no name"), asking(corp_id="no id")],
    ids=["none", "app", "corp_id"],
)
async def test_a_malformed_name_is_left_to_the_field_checks(request_: object) -> None:
    door = Door()

    async def handle(_request: object, _context: object) -> None:
        raise InvalidRequest("target.app", "is malformed")

    with pytest.raises(grpc.aio.AbortError):
        await door.unary(request_, context := bearer("orders"), handler=handle)

    assert "INVALID_REQUEST" == error_info(context.rich).reason


@pytest.mark.parametrize(
    "request_",
    [asking(app=""), asking(app="no name"), asking(corp_id="no id")],
    ids=["none", "app", "corp_id"],
)
async def test_a_handler_that_takes_a_malformed_name_answers_nobody(request_: object) -> None:
    assert "CALLER_NOT_ALLOWED" == await refusal(Door(), request_, bearer("orders"))


async def test_a_malformed_name_does_not_help_the_unknown() -> None:
    assert "UNAUTHENTICATED" == await refusal(Door(), asking(app="no name"), bearer("wrong"))


NEW = "/wecom_broker.v1.TokenService/NewRpc"


class NewServicer:
    """What a developer adds, and how right it is."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights

    async def undeclared(self, request: object, context: object) -> str:
        return "leaked"

    @requires(Action.TOKEN_GET, of=Of.HANDLER)
    async def forgetful(self, request: object, context: object) -> str:
        return "leaked"

    @requires(Action.TOKEN_GET, of=Of.HANDLER)
    async def hasty(self, request: object, context: object) -> str:
        self._rights.check_somewhere("crm")
        return "leaked"

    @requires(Action.TOKEN_GET, of=Of.HANDLER)
    async def careful(self, request: object, context: object) -> str:
        self._rights.grant("crm", "ww1")
        return "answered"

    @requires(Action.TOKEN_GET, of=Of.HANDLER)
    async def forgetful_stream(self, request: object, context: object) -> AsyncIterator[str]:
        yield "leaked"


@pytest.fixture
def new() -> NewServicer:
    return NewServicer(Rights(CallerPolicy((ORDERS,)), Subjects({"crm": "ww0parent"})))


def test_a_handler_without_a_declared_right_is_not_served(new: NewServicer) -> None:
    guard = guard_of(CallerPolicy((ORDERS,)))

    with pytest.raises(Undeclared, match="NewRpc"):
        guard.guard(NEW, grpc.unary_unary_rpc_method_handler(new.undeclared))


@pytest.mark.parametrize("name", ["forgetful", "hasty"])
async def test_a_handler_that_asks_for_no_permit_answers_nobody(new: NewServicer, name: str) -> None:
    guard = guard_of(CallerPolicy((ORDERS,)))
    guarded: Any = guard.guard(NEW, grpc.unary_unary_rpc_method_handler(getattr(new, name)))

    with pytest.raises(grpc.aio.AbortError):
        await guarded.unary_unary(object(), context := bearer("orders"))

    assert "CALLER_NOT_ALLOWED" == error_info(context.rich).reason


async def test_a_handler_with_a_permit_answers(new: NewServicer) -> None:
    guard = guard_of(CallerPolicy((ORDERS,)))
    guarded: Any = guard.guard(NEW, grpc.unary_unary_rpc_method_handler(new.careful))

    assert "answered" == await guarded.unary_unary(object(), bearer("orders"))


async def test_a_stream_without_a_permit_yields_nothing(new: NewServicer) -> None:
    guard = guard_of(CallerPolicy((ORDERS,)))
    guarded: Any = guard.guard(NEW, grpc.unary_stream_rpc_method_handler(new.forgetful_stream))

    with pytest.raises(grpc.aio.AbortError):
        await guarded.unary_stream(object(), context := bearer("orders"))

    assert "CALLER_NOT_ALLOWED" == error_info(context.rich).reason
    assert [] == context.written


# --- what a change of the rules changes


def allowed(*corps: str, apps: tuple[str, ...] = ("crm",), token: bytes = b"orders") -> Caller:
    rules = (Rule(apps, corps, frozenset({Action.TOKEN_GET})),) if corps else ()
    return Caller("orders", token_sha256=hashlib.sha256(token).hexdigest(), rules=rules)


async def test_new_rules_hold_from_the_next_call_on() -> None:
    policy = CallerPolicy((allowed("ww1"),))
    door = Door(policy)
    assert "answered" == await door.unary(asking(), bearer("orders"))

    policy.replace((allowed("ww2"),))
    assert "CALLER_NOT_ALLOWED" == await refusal(door, asking(), bearer("orders"))
    assert "answered" == await door.unary(asking(corp_id="ww2"), bearer("orders"))

    policy.replace((allowed("ww2", token=b"another"),))
    assert "UNAUTHENTICATED" == await refusal(door, asking(corp_id="ww2"), bearer("orders"))


async def test_a_first_caller_closes_an_open_broker() -> None:
    policy = CallerPolicy()
    door = Door(policy)
    assert "answered" == await door.unary(asking(), Context())

    policy.replace((ORDERS,))
    assert "UNAUTHENTICATED" == await refusal(door, asking(), Context())


@pytest.mark.parametrize("of", [Of.REQUEST, Of.HANDLER])
@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (allowed(), "CALLER_NOT_ALLOWED"),
        (allowed("ww2"), "CALLER_NOT_ALLOWED"),
        (allowed("ww1", apps=("hr",)), "CALLER_NOT_ALLOWED"),
        (allowed("ww1", token=b"another"), "UNAUTHENTICATED"),
        (Caller("reports", identity="dns:reports"), "UNAUTHENTICATED"),
    ],
    ids=["no rules", "other corp", "other app", "other token", "gone"],
)
async def test_an_open_stream_ends_when_its_caller_loses_the_right(then: Caller, reason: str, of: Of) -> None:
    policy = CallerPolicy((allowed("ww1"),))
    rights = Rights(policy, CRM_ALONE)
    door, context, ended = Door(policy), bearer("orders"), []

    async def handle(_request: object, _context: object) -> AsyncIterator[int]:
        if of is Of.HANDLER:
            rights.grant("crm", "ww1")
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    open_ = asyncio.ensure_future(door.stream(asking(), context, handle, of))
    await context.wrote.wait()
    policy.replace((then,))

    with pytest.raises(grpc.aio.AbortError):
        await open_
    assert reason == error_info(context.rich).reason
    assert [1] == context.written
    assert [True] == ended


async def test_an_open_stream_whose_caller_keeps_the_right_goes_on() -> None:
    policy = CallerPolicy((allowed("ww1"),))
    door, context, more = Door(policy), bearer("orders"), asyncio.Event()

    async def handle(_request: object, _context: object) -> AsyncIterator[int]:
        yield 1
        await more.wait()
        yield 2

    open_ = asyncio.ensure_future(door.stream(asking(), context, handle))
    await context.wrote.wait()
    policy.replace((allowed("ww*"), Caller("new", identity="dns:new")))
    more.set()

    assert [1, 2] == await open_


@pytest.mark.slow
async def test_of_many_open_streams_those_without_the_right_end() -> None:
    policy = CallerPolicy((allowed("*"),))
    door = Door(policy)

    async def handle(_request: object, _context: object) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    contexts = [bearer("orders") for _ in range(350)]
    streams = [
        asyncio.ensure_future(door.stream(asking(corp_id=f"ww{position % 2}"), context, handle))
        for position, context in enumerate(contexts)
    ]
    for context in contexts:
        await context.wrote.wait()
    policy.replace((allowed("ww1"),))
    ended, _ = await asyncio.wait(streams[::2], timeout=30)
    await asyncio.sleep(0.05)
    going_on = [stream for stream in streams if not stream.done()]

    assert set(streams[::2]) == ended
    assert streams[1::2] == going_on
    for stream in going_on:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def test_what_is_remembered_of_rights_does_not_grow_with_what_callers_send() -> None:
    policy = CallerPolicy((allowed("*", apps=("*",)),))
    authorizer = Authorizer(policy, CRM_ALONE)
    authorize = authorizer.of(GET, Requirement(Action.TOKEN_GET, Of.REQUEST))
    for number in range(1000):
        authorize(policy.callers[0], asking("crm", f"ww{number}"))
        authorize(policy.callers[0], asking(f"app{number}", "ww1"))

    assert 1 == authorizer.remembered


# --- how calls end


async def test_an_error_of_the_broker_ends_the_call_with_its_status() -> None:
    door, context = Door(), bearer("orders")

    async def handle(_request: object, _context: object) -> None:
        raise AppNotShared("not shared", corp_id="ww1")

    with pytest.raises(grpc.aio.AbortError):
        await door.unary(asking(), context, handler=handle)

    assert grpc.StatusCode.NOT_FOUND is context.aborted.code
    assert {"corp_id": "ww1"} == dict(error_info(context.rich).metadata)
    assert {("GetAccessToken", "NOT_FOUND"): 1} == door.counted()


async def test_an_unexpected_error_shows_an_incident_s_number_and_nothing_else() -> None:
    door, context = Door(), bearer("orders")

    async def handle(_request: object, _context: object) -> None:
        raise RuntimeError(MARKER)

    with capture_logs() as logged, pytest.raises(grpc.aio.AbortError):
        await door.unary(asking(), context, handler=handle)

    match = re.fullmatch(r"internal error, incident ([0-9a-f]{8})", context.aborted.details)
    assert match
    assert grpc.StatusCode.INTERNAL is context.aborted.code
    assert "INTERNAL" == error_info(context.rich).reason
    assert MARKER not in str(context.aborted)
    (told,) = [event for event in logged if event["log_level"] == "error"]
    assert match.group(1) == told["incident"]
    assert MARKER == str(told["exc_info"])


async def test_an_error_of_the_inside_that_gets_out_is_an_incident() -> None:
    door, context = Door(), bearer("orders")

    async def handle(_request: object, _context: object) -> None:
        raise TokenRejected(MARKER, errcode=40014)

    with capture_logs() as logged, pytest.raises(grpc.aio.AbortError):
        await door.unary(asking(), context, handler=handle)

    assert "INTERNAL" == error_info(context.rich).reason
    assert MARKER not in str(context.aborted)
    assert ["error"] == [event["log_level"] for event in logged if event["log_level"] != "debug"]


async def test_each_incident_has_a_number_of_its_own() -> None:
    door = Door()

    async def handle(_request: object, _context: object) -> None:
        raise ValueError

    told = set()
    for _ in range(3):
        context = bearer("orders")
        with capture_logs(), pytest.raises(grpc.aio.AbortError):
            await door.unary(asking(), context, handler=handle)
        told.add(context.aborted.details)
    assert 3 == len(told)


async def test_a_cancelled_call_is_counted_and_not_answered() -> None:
    door, context = Door(), bearer("orders")

    async def handle(_request: object, _context: object) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await door.unary(asking(), context, handler=handle)

    assert None is context.aborted
    assert {("GetAccessToken", "CANCELLED"): 1} == door.counted()


class ExecuteBatchError(Exception):
    """Named as gRPC's own, which is not public: nothing could be sent to, or read from, a caller who left."""


async def test_a_stranger_who_leaves_before_its_turn_is_not_answered_and_costs_others_none() -> None:
    policy = CallerPolicy((ORDERS,))
    metrics = Metrics()
    guard = guard_of(policy, CRM_ALONE, metrics, admission=Admission(policy, lambda: 1000.0))
    handler: Any = grpc.unary_unary_rpc_method_handler(requires(ACTIONS[GET])(_unreached))
    stranger: Any = guard.guard(GET, handler).unary_unary

    for _ in range(REFUSALS_AT_ONCE):
        with pytest.raises(grpc.aio.AbortError):
            await stranger(asking(), Context())
    for _ in range(MOST_KEPT_BACK + 10):
        leaving = asyncio.ensure_future(stranger(asking(), Context()))
        await asyncio.sleep(0)
        assert not leaving.done(), "an answer costs as much as any other, though nobody waits for it"
        leaving.cancel()
        await asyncio.wait([leaving])

    with pytest.raises(grpc.aio.AbortError):
        await asyncio.wait_for(stranger(asking(), Context()), 5)
    counted = metrics.registry.get_sample_value(
        "wecom_broker_callers_refused_total", {"caller": "", "reason": "UNAUTHENTICATED"}
    )
    assert REFUSALS_AT_ONCE + 1 == counted


async def test_a_caller_who_left_is_no_incident() -> None:
    door, context = Door(), bearer("orders")

    async def handle(_request: object, _context: object) -> None:
        raise ExecuteBatchError

    async def stream(_request: object, _context: object) -> AsyncIterator[int]:
        yield 1
        raise ExecuteBatchError

    with capture_logs() as logged:
        with pytest.raises(ExecuteBatchError):
            await door.unary(asking(), context, handler=handle)
        with pytest.raises(ExecuteBatchError):
            await door.stream(asking(), context, stream)

    assert [] == logged
    assert None is context.aborted
    assert {("GetAccessToken", "CANCELLED"): 1, ("WatchAccessToken", "CANCELLED"): 1} == door.counted()


async def test_a_stream_s_messages_pass_and_its_end_is_counted() -> None:
    door = Door()

    async def handle(_request: object, _context: object) -> AsyncIterator[int]:
        yield 1
        yield 2

    assert [1, 2] == await door.stream(asking(), bearer("orders"), handle)
    assert {("WatchAccessToken", "OK"): 1} == door.counted()


@pytest.mark.parametrize(
    ("error", "code"),
    [(AppNotShared("gone"), grpc.StatusCode.NOT_FOUND), (OSError(MARKER), grpc.StatusCode.INTERNAL)],
    ids=["known", "unexpected"],
)
async def test_a_stream_that_fails_in_its_midst_ends_with_a_status(
    error: Exception, code: grpc.StatusCode
) -> None:
    door, context = Door(), bearer("orders")

    async def handle(_request: object, _context: object) -> AsyncIterator[int]:
        yield 1
        raise error

    with capture_logs(), pytest.raises(grpc.aio.AbortError):
        await door.stream(asking(), context, handle)

    assert [1] == context.written
    assert code is context.aborted.code
    assert MARKER not in str(context.aborted)
    assert {("WatchAccessToken", code.name): 1} == door.counted()


async def test_a_stream_is_refused_before_its_first_message() -> None:
    door, context = Door(), bearer("wrong")

    async def handle(_request: object, _context: object) -> AsyncIterator[int]:
        door.handled.append("asked")
        yield 1

    with pytest.raises(grpc.aio.AbortError):
        await door.stream(asking(), context, handle)
    assert "UNAUTHENTICATED" == error_info(context.rich).reason
    assert [] == door.handled


@pytest.mark.parametrize("is_let_in", [True, False])
async def test_what_is_still_sent_is_read_of_callers_that_were_let_in_alone(is_let_in: bool) -> None:
    caller = replace(ORDERS, limits=Limits(calls_per_minute=60 if is_let_in else 0))
    guard = guard_of(CallerPolicy((caller,)))
    read: list[bytes] = []

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"first", b"second"):
            read.append(piece)
            yield piece

    @requires(Action.TOKEN_GET, of=Of.HANDLER)
    async def refuse(_request: object, _context: object) -> None:
        raise InvalidRequest("app", "is malformed")

    guarded: Any = guard.guard(NEW, grpc.stream_unary_rpc_method_handler(refuse))
    with pytest.raises(grpc.aio.AbortError):
        await guarded.stream_unary(pieces(), context := bearer("orders"))

    assert ("INVALID_REQUEST" if is_let_in else "CALLER_LIMITED") == error_info(context.rich).reason
    assert ([b"first", b"second"] if is_let_in else []) == read


# --- what is counted


async def test_what_callers_send_makes_no_new_labels() -> None:
    door = Door()
    for number in range(50):
        await refusal(door, asking(app=f"app{number}", corp_id=f"ww{number}"), bearer("orders"))
        await refusal(door, asking(), bearer(f"token{number}"))

    assert {
        ("GetAccessToken", "PERMISSION_DENIED"): 50,
        ("GetAccessToken", "UNAUTHENTICATED"): 50,
    } == door.counted()


async def test_no_name_that_a_caller_sends_stands_in_the_figures() -> None:
    door = Door()
    await refusal(door, asking(app="AppOfTheCaller"), bearer("orders"))

    await refusal(door, asking(), bearer("TokenOfNobody"))

    told = b"".join(door.metrics.exposition()).decode()
    assert "AppOfTheCaller" not in told
    assert "TokenOfNobody" not in told
    refused = "wecom_broker_callers_refused_total"
    assert f'{refused}{{caller="orders",reason="CALLER_NOT_ALLOWED"}} 1.0' in told
    assert f'{refused}{{caller="",reason="UNAUTHENTICATED"}} 1.0' in told


async def test_a_refusal_is_logged_without_what_proves_the_caller() -> None:
    door = Door()
    with capture_logs() as logged:
        await refusal(door, asking(), bearer("ABearerTokenThatNobodyKnows"))

    (told,) = logged
    assert "UNAUTHENTICATED" == told["reason"]
    assert "ABearerToken" not in str(logged)
