"""`SuiteService`: what callers see of a suite's authorisations, and who may see which."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import suite_service_pb2 as pb
from wecom_broker.v1.target_pb2 import SHARE_KIND_SUPPLY_CHAIN

from broker.domain.access import Action, Caller, Rule
from broker.domain.caller_policy import CallerPolicy
from broker.domain.corps import ShareKind
from broker.domain.errors import CorpNotAuthorized, InvalidRequest, UnknownApp
from broker.domain.secret import Secret
from broker.domain.suites.authorization import (
    AuthMode,
    Authorization,
    AuthorizationState,
    AuthorizedAgent,
    Edition,
    Permission,
    SharedFrom,
)
from broker.domain.suites.installation import Installation, InstallationState
from broker.domain.suites.view import AuthorizationView, ViewState
from broker.server.grpc import suite_messages
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Rights
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.messages import LARGEST_LIST
from broker.server.grpc.services.suites import SuiteServicer
from tests.unit.domain.credentials import NOON
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import Context, bearer, error_info

PERMANENT_CODE = "permanent-code-of-the-corp"
AUTH_CODE = "auth-code-of-the-install"

AUTHORIZATION = Authorization(
    suite="market",
    corp_id="wpAcorp",
    fence=3,
    state=AuthorizationState.ACTIVE,
    permanent_code=Secret(PERMANENT_CODE),
    code_hash=Secret(AUTH_CODE).digest(),
    installed_at=NOON,
    updated_at=NOON + timedelta(minutes=1),
    corp_name="总部",
    agents=(
        AuthorizedAgent(
            agent_id=1000012,
            name="排班助手",
            edition=Edition("ed1", "标准版", 2, 50, NOON + timedelta(days=30), shared_from_other_corp=True),
            shared_from=SharedFrom("wpParent", ShareKind.SUPPLY_CHAIN),
            permissions=(
                Permission("contact:base_info"),
                Permission("msgaudit:data", NOON + timedelta(days=90)),
            ),
        ),
    ),
    auth_mode=AuthMode.MEMBER,
    installer_user_id="zhangsan",
    install_state="st1",
)
INSTALLATION = Installation(
    suite="market",
    code_hash=Secret(AUTH_CODE).digest(),
    fence=1,
    state=InstallationState.TAKEN,
    auth_code=Secret(AUTH_CODE),
    is_reset=False,
    install_state="st2",
    taken_at=NOON,
)


def of_corp(corp_id: str, **changes: Any) -> AuthorizationView:
    return AuthorizationView.of(replace(AUTHORIZATION, corp_id=corp_id, **changes))


PENDING = AuthorizationView.of_installation(INSTALLATION)
A, B, C = of_corp("wpAcorp"), of_corp("wpBcorp"), of_corp("wpCcorp")


@dataclass(frozen=True)
class Link:
    url: str
    state: str
    expires_at: datetime


@dataclass
class Authorizations:
    """The authorisations of one suite, "market"; what was asked of WeCom is noted."""

    views: list[AuthorizationView]
    changes: Sequence[list[AuthorizationView]] = ()
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def _check(self, suite_name: str) -> None:
        if suite_name != "market":
            raise UnknownApp("no app of that name is configured", app=suite_name)

    async def list(self, suite_name: str) -> list[AuthorizationView]:
        self._check(suite_name)
        return sorted(self.views, key=lambda view: view.mark)

    async def get(self, suite_name: str, corp_id: str) -> AuthorizationView:
        self._check(suite_name)
        found = [view for view in self.views if view.corp_id == corp_id]
        if not found:
            raise CorpNotAuthorized("the corp has not authorised the suite", corp_id=corp_id)
        return found[0]

    async def refresh(self, suite_name: str, corp_id: str, by: str) -> AuthorizationView:
        assert by == current_caller.get().name
        self.asked.append(("refresh", suite_name, corp_id))
        return await self.get(suite_name, corp_id)

    async def complete(self, suite_name: str, auth_code: str, state: str) -> AuthorizationView:
        self._check(suite_name)
        self.asked.append(("complete", suite_name, auth_code, state))
        return self.views[0]

    async def watch(self, suite_name: str) -> AsyncGenerator[Any, None]:
        self._check(suite_name)
        yield await self.list(suite_name)
        for changed in self.changes:
            yield changed


@dataclass
class Links:
    asked: list[tuple[object, ...]] = field(default_factory=list)

    async def build(self, suite_name: str, redirect_uri: str, state: str, *, test_install: bool) -> Link:
        if not redirect_uri:
            raise InvalidRequest("redirect_uri", "is required")
        self.asked.append((suite_name, redirect_uri, state, test_install))
        return Link("https://open.work.weixin.qq.com/3rdapp/install?x=1", state or "made", NOON)


def caller(name: str, *corps: str) -> Caller:
    rule = Rule(("market",), corps, frozenset({Action.SUITE_MANAGE}))
    return Caller(name, token_sha256=hashlib.sha256(name.encode()).hexdigest(), rules=(rule,))


OPERATOR, LIMITED, NOBODY = (
    caller("operator", "*"),
    caller("limited", "wpBcorp"),
    replace(caller("nobody"), rules=()),
)


class Door:
    """`SuiteService` behind the guard."""

    def __init__(self, *views: AuthorizationView, changes: Sequence[list[AuthorizationView]] = ()) -> None:
        policy = CallerPolicy((OPERATOR, LIMITED, NOBODY))
        self.authorizations, self.links = Authorizations(list(views), changes), Links()
        self._guard = guard_of(policy)
        self._servicer = SuiteServicer(self.authorizations, self.links, Rights(policy, Subjects()))

    async def call(self, method: str, request: Any, context: Context) -> Any:
        handler = grpc.unary_unary_rpc_method_handler(getattr(self._servicer, method))
        guarded: Any = self._guard.guard(f"/wecom_broker.v1.SuiteService/{method}", handler)
        return await guarded.unary_unary(request, context)

    async def refused(self, method: str, request: Any, context: Context) -> Any:
        """Return what a refusal says for programs."""
        with pytest.raises(grpc.aio.AbortError):
            await self.call(method, request, context)
        return error_info(context.rich)

    async def watched(self, context: Context) -> list[pb.WatchAuthorizationsResponse]:
        """Return all that a watch sends."""
        handler = grpc.unary_stream_rpc_method_handler(self._servicer.WatchAuthorizations)
        guarded: Any = self._guard.guard("/wecom_broker.v1.SuiteService/WatchAuthorizations", handler)
        request = pb.WatchAuthorizationsRequest(app="market")
        await guarded.unary_stream(request, context)
        return context.written

    async def listed(self, context: Context, size: int = 0) -> list[list[str]]:
        """Return the corps of all pages."""
        pages, token = [], ""
        while not pages or token:
            request = pb.ListAuthorizationsRequest(app="market", page_size=size, page_token=token)
            page = await self.call("ListAuthorizations", request, context)
            pages.append([authorization.corp_id for authorization in page.authorizations])
            token = page.next_page_token
        return pages


def operator() -> Context:
    return bearer("operator")


def limited() -> Context:
    return bearer("limited")


# --- messages


def test_all_that_is_known_of_an_authorisation_is_told_but_its_permanent_code() -> None:
    message = suite_messages.authorization(A)

    assert ("market", "wpAcorp", "总部") == (message.app, message.corp_id, message.corp_name)
    assert pb.AUTHORIZATION_STATE_ACTIVE == message.state
    assert pb.AUTH_MODE_MEMBER == message.auth_mode
    assert ("zhangsan", "st1", "") == (message.installer_user_id, message.install_state, message.problem)
    assert int(NOON.timestamp()) == message.install_time.seconds
    assert int(NOON.timestamp()) + 60 == message.update_time.seconds
    (agent,) = message.agents
    assert (1000012, "排班助手") == (agent.agent_id, agent.name)
    assert ("wpParent", SHARE_KIND_SUPPLY_CHAIN) == (agent.shared_from.corp_id, agent.shared_from.share_kind)
    edition = agent.edition
    assert ("ed1", "标准版", 2, 50) == (
        edition.edition_id,
        edition.edition_name,
        edition.app_status,
        edition.user_limit,
    )
    assert edition.shared_from_other_corp
    assert int((NOON + timedelta(days=30)).timestamp()) == edition.expire_time.seconds
    first, second = agent.permissions
    assert ("contact:base_info", False) == (first.name, first.HasField("expire_time"))
    assert ("msgaudit:data", int((NOON + timedelta(days=90)).timestamp())) == (
        second.name,
        second.expire_time.seconds,
    )
    assert PERMANENT_CODE not in str(message)


def test_what_is_not_known_is_absent() -> None:
    message = suite_messages.authorization(
        of_corp("wpAcorp", agents=(AuthorizedAgent(0),), auth_mode=None, installer_user_id="")
    )

    assert pb.AUTH_MODE_UNSPECIFIED == message.auth_mode
    assert not message.agents[0].HasField("edition")
    assert not message.agents[0].HasField("shared_from")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (InstallationState.TAKEN, pb.AUTHORIZATION_STATE_PENDING),
        (InstallationState.SENT, pb.AUTHORIZATION_STATE_PENDING),
        (InstallationState.LOST, pb.AUTHORIZATION_STATE_LOST),
    ],
)
def test_a_code_without_an_authorisation_is_a_row_without_a_corp(
    state: InstallationState, expected: pb.AuthorizationState
) -> None:
    installation = replace(INSTALLATION, state=state, problem="install it again")
    message = suite_messages.authorization(AuthorizationView.of_installation(installation))

    assert ("", expected, "st2") == (message.corp_id, message.state, message.install_state)
    assert "install it again" == message.problem
    assert AUTH_CODE not in str(message)


def test_a_row_with_a_corp_has_the_installation_id_of_its_code_s_row() -> None:
    assert suite_messages.authorization(A).installation_id
    assert (
        suite_messages.authorization(A).installation_id
        == suite_messages.authorization(PENDING).installation_id
    )


@pytest.mark.parametrize("state", AuthorizationState)
def test_every_state_of_an_authorisation_is_told(state: AuthorizationState) -> None:
    message = suite_messages.authorization(of_corp("wpAcorp", state=state))

    assert f"AUTHORIZATION_STATE_{state.name}" == pb.AuthorizationState.Name(message.state)


def test_every_state_of_a_row_and_every_mode_has_a_message() -> None:
    assert set(ViewState) == set(suite_messages.STATES)
    assert {None, *AuthMode} == set(suite_messages.MODES)


# --- rights


REQUESTS = [
    ("BuildInstallUrl", pb.BuildInstallUrlRequest(app="market", redirect_uri="https://a.example/b")),
    ("CompleteInstallation", pb.CompleteInstallationRequest(app="market", auth_code=AUTH_CODE)),
    ("ListAuthorizations", pb.ListAuthorizationsRequest(app="market")),
    ("GetAuthorization", pb.GetAuthorizationRequest(app="market", corp_id="wpAcorp")),
    ("RefreshAuthorization", pb.RefreshAuthorizationRequest(app="market", corp_id="wpAcorp")),
]


@pytest.mark.parametrize(("method", "request_"), REQUESTS)
@pytest.mark.parametrize(
    ("context", "reason"), [(Context(), "UNAUTHENTICATED"), (bearer("nobody"), "CALLER_NOT_ALLOWED")]
)
async def test_without_a_rule_nothing_is_told_and_nothing_done(
    method: str, request_: Any, context: Context, reason: str
) -> None:
    door = Door(A)

    assert reason == (await door.refused(method, request_, context)).reason
    assert [] == door.authorizations.asked == door.links.asked


@pytest.mark.parametrize(("method", "request_"), REQUESTS)
async def test_a_rule_for_one_suite_allows_no_other(method: str, request_: Any) -> None:
    other = type(request_)()
    other.CopyFrom(request_)
    other.app = "tailored"
    door = Door(A)

    assert "CALLER_NOT_ALLOWED" == (await door.refused(method, other, operator())).reason
    assert [] == door.authorizations.asked == door.links.asked


@pytest.mark.parametrize(("method", "request_"), REQUESTS[3:])
async def test_a_rule_for_one_corp_allows_no_other(method: str, request_: Any) -> None:
    door = Door(A)

    assert "CALLER_NOT_ALLOWED" == (await door.refused(method, request_, limited())).reason
    assert [] == door.authorizations.asked


async def test_lists_show_the_corps_that_the_caller_may_act_for() -> None:
    door = Door(A, B, C, PENDING)

    assert [["", "wpAcorp", "wpBcorp", "wpCcorp"]] == await door.listed(operator())
    assert [["wpBcorp"]] == await door.listed(limited())


async def test_hidden_rows_leave_no_gap_in_a_page() -> None:
    door = Door(*(of_corp(f"wpA{number}") for number in range(9)), B)

    assert [["wpBcorp"]] == await door.listed(limited(), size=2)


async def test_watches_show_the_corps_that_the_caller_may_act_for() -> None:
    door = Door(A, B, PENDING, changes=[[A], [B, C], [PENDING]])
    seen = [
        ([row.corp_id for row in message.authorizations], message.snapshot, message.snapshot_complete)
        for message in await door.watched(limited())
    ]

    assert [(["wpBcorp"], True, False), ([], True, True), (["wpBcorp"], False, False)] == seen


async def test_the_answer_to_a_code_is_only_for_whoever_may_act_for_its_corp() -> None:
    door, request = Door(A), pb.CompleteInstallationRequest(app="market", auth_code=AUTH_CODE)

    assert "CALLER_NOT_ALLOWED" == (await door.refused("CompleteInstallation", request, limited())).reason
    door.authorizations.views = [B]
    answer = await door.call("CompleteInstallation", request, limited())
    assert "wpBcorp" == answer.authorization.corp_id


# --- what is asked for


async def test_a_link_is_built_as_asked_for() -> None:
    door = Door()
    request = pb.BuildInstallUrlRequest(
        app="market", redirect_uri="https://a.example/b", state="st9", test_install=True
    )
    answer = await door.call("BuildInstallUrl", request, operator())

    assert [("market", "https://a.example/b", "st9", True)] == door.links.asked
    assert ("st9", int(NOON.timestamp())) == (answer.state, answer.expire_time.seconds)
    assert answer.url.startswith("https://open.work.weixin.qq.com/")


async def test_a_code_is_exchanged_as_it_came() -> None:
    door = Door(A)
    request = pb.CompleteInstallationRequest(app="market", auth_code=AUTH_CODE, state="st1")
    answer = await door.call("CompleteInstallation", request, operator())

    assert [("complete", "market", AUTH_CODE, "st1")] == door.authorizations.asked
    assert suite_messages.authorization(A) == answer.authorization


async def test_one_corp_s_is_told_or_read_anew() -> None:
    door = Door(A, B)
    got = await door.call(
        "GetAuthorization", pb.GetAuthorizationRequest(app="market", corp_id="wpBcorp"), limited()
    )
    assert [] == door.authorizations.asked
    refreshed = await door.call(
        "RefreshAuthorization", pb.RefreshAuthorizationRequest(app="market", corp_id="wpBcorp"), limited()
    )

    assert suite_messages.authorization(B) == got.authorization == refreshed.authorization
    assert [("refresh", "market", "wpBcorp")] == door.authorizations.asked


async def test_a_corp_that_has_not_authorised_is_not_found() -> None:
    request = pb.GetAuthorizationRequest(app="market", corp_id="wpZcorp")
    refused = await Door(A).refused("GetAuthorization", request, operator())

    assert ("CORP_NOT_AUTHORIZED", "wpZcorp") == (refused.reason, refused.metadata["corp_id"])


@pytest.mark.parametrize(
    ("method", "request_", "name"),
    [
        ("BuildInstallUrl", pb.BuildInstallUrlRequest(redirect_uri="https://a.example"), "app"),
        ("BuildInstallUrl", pb.BuildInstallUrlRequest(app="market"), "redirect_uri"),
        ("CompleteInstallation", pb.CompleteInstallationRequest(auth_code=AUTH_CODE), "app"),
        ("CompleteInstallation", pb.CompleteInstallationRequest(app="market"), "auth_code"),
        (
            "CompleteInstallation",
            pb.CompleteInstallationRequest(app="market", auth_code="x" * 513),
            "auth_code",
        ),
        ("ListAuthorizations", pb.ListAuthorizationsRequest(app="ma rket"), "app"),
        ("ListAuthorizations", pb.ListAuthorizationsRequest(app="market", page_size=-1), "page_size"),
        ("ListAuthorizations", pb.ListAuthorizationsRequest(app="market", page_token="?"), "page_token"),
        ("GetAuthorization", pb.GetAuthorizationRequest(app="market"), "corp_id"),
        ("GetAuthorization", pb.GetAuthorizationRequest(app="market", corp_id="wp 1"), "corp_id"),
        ("GetAuthorization", pb.GetAuthorizationRequest(corp_id="wp1"), "app"),
        ("RefreshAuthorization", pb.RefreshAuthorizationRequest(app="market"), "corp_id"),
        ("RefreshAuthorization", pb.RefreshAuthorizationRequest(app="market", corp_id="*"), "corp_id"),
    ],
)
async def test_a_malformed_field_is_named(method: str, request_: Any, name: str) -> None:
    door = Door(A)
    refused = await door.refused(method, request_, operator())

    assert ("INVALID_REQUEST", name) == (refused.reason, refused.metadata["field"])
    assert [] == door.authorizations.asked


# --- many


async def test_pages_show_each_row_once() -> None:
    corps = [f"wp{number:04d}" for number in range(25)]
    pages = await Door(*map(of_corp, corps)).listed(operator(), size=10)

    assert [corps[:10], corps[10:20], corps[20:]] == pages


def large(corp_id: str) -> AuthorizationView:
    """Return a row of about 60 KiB."""
    permissions = tuple(Permission(f"{number:04d}" * 15) for number in range(1000))
    return of_corp(corp_id, agents=(AuthorizedAgent(1, permissions=permissions),))


@pytest.mark.slow
async def test_a_page_of_large_rows_is_cut_to_what_a_message_holds() -> None:
    corps = [f"wp{number:04d}" for number in range(40)]
    pages = await Door(*map(large, corps)).listed(operator(), size=1000)

    assert corps == [corp for page in pages for corp in page]
    assert len(pages) > 1


async def test_a_snapshot_of_any_size_comes_in_messages_of_limited_size() -> None:
    corps = [f"wp{number:04d}" for number in range(40)]
    watched = await Door(*map(large, corps)).watched(operator())

    shown = [authorization.corp_id for message in watched for authorization in message.authorizations]
    assert corps == shown
    assert max(message.ByteSize() for message in watched) < 1.1 * LARGEST_LIST
    assert [False] * (len(watched) - 1) + [True] == [message.snapshot_complete for message in watched]


async def test_an_empty_snapshot_is_complete_too() -> None:
    (message,) = await Door().watched(operator())

    assert pb.WatchAuthorizationsResponse(snapshot=True, snapshot_complete=True) == message
