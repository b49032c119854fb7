"""Which corps authorised a suite, and how others do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import pytest
from wecom_broker import (
    AuthMode,
    Authorization,
    AuthorizationChange,
    AuthorizationState,
    AuthorizedAgent,
    Broker,
    Edition,
    InstallUrl,
    Permission,
    SharedFrom,
    ShareKind,
)
from wecom_broker.errors import CodeRejected, CorpNotAuthorized, ReauthorizationRequired
from wecom_broker.v1 import suite_service_pb2 as pb
from wecom_broker.v1 import target_pb2

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.fake_services import EXPIRY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BACK = "https://market.test/installed"
INSTALLED = datetime(2026, 3, 2, 12, tzinfo=UTC)
UPDATED = datetime(2026, 3, 2, 13, tzinfo=UTC)

MESSAGE = pb.Authorization(
    app="market",
    corp_id="wpA",
    corp_name="总部",
    state=pb.AUTHORIZATION_STATE_ACTIVE,
    agents=[
        pb.AuthorizedAgent(
            agent_id=1000012,
            name="排班助手",
            edition=pb.Edition(
                edition_id="ed1",
                edition_name="标准版",
                app_status=2,
                user_limit=50,
                expire_time=EXPIRY,
                shared_from_other_corp=True,
            ),
            shared_from=pb.SharedFrom(corp_id="wpP", share_kind=target_pb2.SHARE_KIND_CORP_GROUP),
            permissions=[pb.Permission(name="a"), pb.Permission(name="b", expire_time=EXPIRY)],
        )
    ],
    auth_mode=pb.AUTH_MODE_ADMIN,
    installer_user_id="zhangsan",
    install_state="st1",
    install_time=INSTALLED,
    update_time=UPDATED,
    problem="nothing",
    installation_id="c0de",
)
AUTHORIZATION = Authorization(
    app="market",
    corp_id="wpA",
    corp_name="总部",
    state=AuthorizationState.ACTIVE,
    agents=(
        AuthorizedAgent(
            1000012,
            "排班助手",
            Edition("ed1", "标准版", 2, 50, EXPIRY, shared_from_other_corp=True),
            SharedFrom("wpP", ShareKind.CORP_GROUP),
            (Permission("a", None), Permission("b", EXPIRY)),
        ),
    ),
    auth_mode=AuthMode.ADMIN,
    installer_user_id="zhangsan",
    install_state="st1",
    install_time=INSTALLED,
    update_time=UPDATED,
    problem="nothing",
    installation_id="c0de",
)


def of_corp(corp_id: str) -> pb.Authorization:
    message = pb.Authorization()
    message.CopyFrom(MESSAGE)
    message.corp_id = corp_id
    return message


async def test_a_link_comes_with_the_state_to_compare(fake: FakeBroker, either: Broker):
    link = await either.install_url("market", BACK)

    assert InstallUrl("https://wecom.test/install?state=made", "made", EXPIRY) == link
    assert [pb.BuildInstallUrlRequest(app="market", redirect_uri=BACK)] == fake.requests


async def test_a_link_may_install_for_a_test_with_a_state_of_one_s_own(fake: FakeBroker, either: Broker):
    assert "mine" == (await either.install_url("market", BACK, state="mine", test_install=True)).state
    assert [
        pb.BuildInstallUrlRequest(app="market", redirect_uri=BACK, state="mine", test_install=True)
    ] == fake.requests


async def test_a_code_becomes_an_authorisation(fake: FakeBroker, either: Broker):
    fake.suite_authorizations = [MESSAGE]

    assert AUTHORIZATION == await either.complete_installation("market", "a-code", state="st1")
    assert [pb.CompleteInstallationRequest(app="market", auth_code="a-code", state="st1")] == fake.requests


async def test_a_spent_code_is_told(fake: FakeBroker, either: Broker):
    fake.refusals["CompleteInstallation"] = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "CODE_REJECTED")

    with pytest.raises(CodeRejected):
        await either.complete_installation("market", "a-code")


async def test_all_pages_are_listed(fake: FakeBroker, broker: Broker):
    fake.suite_authorizations = [of_corp(f"wp{number}") for number in range(5)]
    listed = [authorization.corp_id async for authorization in broker.authorizations("market")]

    assert [f"wp{number}" for number in range(5)] == listed
    assert 3 == fake.calls["ListAuthorizations"]


ONE: list[tuple[str, Callable[[Broker], Awaitable[Authorization]], object]] = [
    (
        "GetAuthorization",
        lambda broker: broker.authorization("market", "wpA"),
        pb.GetAuthorizationRequest(app="market", corp_id="wpA"),
    ),
    (
        "RefreshAuthorization",
        lambda broker: broker.refresh_authorization("market", corp="wpA"),
        pb.RefreshAuthorizationRequest(app="market", corp_id="wpA"),
    ),
]


@pytest.mark.parametrize(("method", "call", "request_"), ONE)
async def test_one_corp_s_is_told_or_read_anew(
    fake: FakeBroker,
    either: Broker,
    method: str,
    call: Callable[[Broker], Awaitable[Authorization]],
    request_: object,
):
    fake.suite_authorizations = [MESSAGE]

    assert AUTHORIZATION == await call(either)
    assert [request_] == fake.requests
    assert {method: 1} == fake.calls


@pytest.mark.parametrize(("method", "call", "request_"), ONE)
@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, "CORP_NOT_AUTHORIZED", CorpNotAuthorized),
        (grpc.StatusCode.FAILED_PRECONDITION, "REAUTHORIZATION_REQUIRED", ReauthorizationRequired),
    ],
)
async def test_a_corp_without_one_is_an_error(
    fake: FakeBroker,
    either: Broker,
    method: str,
    call: Callable[[Broker], Awaitable[Authorization]],
    request_: object,
    status: grpc.StatusCode,
    reason: str,
    error: type[Exception],
):
    fake.refusals[method] = Refusal(status, reason)

    with pytest.raises(error):
        await call(either)


async def test_a_watch_gives_the_snapshot_then_changes_and_after_a_break_a_snapshot(
    fake: FakeBroker, broker: Broker
):
    fake.authorization_changes = [
        pb.WatchAuthorizationsResponse(authorizations=[MESSAGE], snapshot=True),
        pb.WatchAuthorizationsResponse(snapshot=True, snapshot_complete=True),
        pb.WatchAuthorizationsResponse(authorizations=[MESSAGE]),
    ]  # after which the fake ends the stream
    changes = broker.watch_authorizations("market")
    seen = [await anext(changes) for _ in range(6)]
    await changes.aclose()

    assert (
        2
        * [
            AuthorizationChange((AUTHORIZATION,), snapshot=True, snapshot_complete=False),
            AuthorizationChange((), snapshot=True, snapshot_complete=True),
            AuthorizationChange((AUTHORIZATION,), snapshot=False, snapshot_complete=False),
        ]
        == seen
    )


async def test_suites_and_providers_have_tokens_by_their_names(fake: FakeBroker, either: Broker):
    suite, provider = await either.access_token("market"), await either.access_token("acme")

    assert ("secret-market--1", "secret-acme--1") == (suite.value, provider.value)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (pb.AUTHORIZATION_STATE_ACTIVE, AuthorizationState.ACTIVE),
        (pb.AUTHORIZATION_STATE_PENDING, AuthorizationState.PENDING),
        (pb.AUTHORIZATION_STATE_LOST, AuthorizationState.LOST),
        (pb.AUTHORIZATION_STATE_REAUTHORIZATION_REQUIRED, AuthorizationState.REAUTHORIZATION_REQUIRED),
        (pb.AUTHORIZATION_STATE_CANCELLED, AuthorizationState.CANCELLED),
        (99, None),
    ],
)
def test_states_have_names_but_those_from_the_future(number: int, state: AuthorizationState | None):
    assert Authorization.from_proto(pb.Authorization(state=number)).state is state


@pytest.mark.parametrize(
    ("number", "mode"),
    [(pb.AUTH_MODE_ADMIN, AuthMode.ADMIN), (pb.AUTH_MODE_MEMBER, AuthMode.MEMBER), (0, None), (99, None)],
)
def test_modes_have_names_but_those_from_the_future(number: int, mode: AuthMode | None):
    assert Authorization.from_proto(pb.Authorization(auth_mode=number)).auth_mode is mode


def test_what_is_not_known_is_absent():
    agent = AuthorizedAgent.from_proto(pb.AuthorizedAgent(agent_id=1))

    assert AuthorizedAgent(1, "", edition=None, shared_from=None, permissions=()) == agent
    assert Edition.from_proto(pb.Edition()).expire_time is None
