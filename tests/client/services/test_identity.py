"""Who visits a page."""

from __future__ import annotations

import grpc
import pytest
from wecom_broker import AuthorizeUrl, Broker, OauthScope, User, UserKind, UserProfile
from wecom_broker.errors import CodeRejected
from wecom_broker.v1 import identity_service_pb2 as pb

from tests.client.fake_broker import FakeBroker, Refusal

BACK = "https://crm.test/back"


async def test_a_link_comes_with_the_state_to_compare(fake: FakeBroker, either: Broker):
    assert AuthorizeUrl("https://wecom.test/?state=made", "made") == await either.authorize_url("crm", BACK)
    assert [
        pb.BuildAuthorizeUrlRequest(app="crm", redirect_uri=BACK, scope=pb.OAUTH_SCOPE_BASE)
    ] == fake.requests


@pytest.mark.parametrize("scope", ["private_info", OauthScope.PRIVATE_INFO])
async def test_scope_and_state_can_be_chosen(fake: FakeBroker, either: Broker, scope: str):
    link = await either.authorize_url("crm", BACK, scope=scope, state="mine")

    assert "mine" == link.state
    assert pb.OAUTH_SCOPE_PRIVATE_INFO == fake.requests[-1].scope


async def test_an_unknown_scope_is_refused_before_anything_is_sent(fake: FakeBroker, either: Broker):
    with pytest.raises(ValueError, match="everything"):
        await either.authorize_url("crm", BACK, scope="everything")
    assert not fake.calls


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (pb.USER_KIND_OWN_MEMBER, UserKind.OWN_MEMBER),
        (pb.USER_KIND_CHILD_MEMBER, UserKind.CHILD_MEMBER),
        (pb.USER_KIND_EXTERNAL_CONTACT, UserKind.EXTERNAL_CONTACT),
        (pb.USER_KIND_NON_MEMBER, UserKind.NON_MEMBER),
        (99, None),
    ],
)
async def test_a_code_becomes_a_user(fake: FakeBroker, either: Broker, number: int, kind: UserKind | None):
    fake.user = pb.User(
        corp_id="ww1",
        user_id="zhang",
        kind=number,
        external_user_id="wm1",
        open_id="o1",
        user_ticket="hush",
        corp_unknown=True,
    )

    expected = User("ww1", "zhang", kind, "wm1", "o1", user_ticket="hush", corp_unknown=True)
    assert expected == await either.user_from_code("crm", "a-code")
    assert [pb.ExchangeAuthCodeRequest(app="crm", code="a-code")] == fake.requests


async def test_the_corp_that_authorised_the_app_is_named(fake: FakeBroker, either: Broker):
    await either.authorize_url("tailored", BACK, corp="wp1")
    await either.user_from_code("tailored", "a-code", corp="wp1")
    await either.user_profile("tailored", "hush", corp="wp1")

    assert [
        pb.BuildAuthorizeUrlRequest(
            app="tailored", redirect_uri=BACK, scope=pb.OAUTH_SCOPE_BASE, corp_id="wp1"
        ),
        pb.ExchangeAuthCodeRequest(app="tailored", code="a-code", corp_id="wp1"),
        pb.GetUserProfileRequest(app="tailored", user_ticket="hush", corp_id="wp1"),
    ] == fake.requests


async def test_a_spent_code_is_told(fake: FakeBroker, either: Broker):
    fake.refusals["ExchangeAuthCode"] = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "CODE_REJECTED")

    with pytest.raises(CodeRejected):
        await either.user_from_code("crm", "a-code")


async def test_a_user_shows_no_ticket(fake: FakeBroker, either: Broker):
    fake.user.user_ticket = "hush"
    user = await either.user_from_code("crm", "a-code")

    assert "hush" not in f"{user} {user!r}"
    assert "hush" == user.user_ticket


async def test_a_ticket_becomes_a_profile_that_keeps_to_itself(fake: FakeBroker, either: Broker):
    fields = {
        "corp_id": "ww1",
        "user_id": "zhang",
        "gender": "1",
        "avatar": "https://a",
        "qr_code": "https://q",
        "mobile": "13800000000",
        "email": "z@x.test",
        "biz_mail": "z@y.test",
        "address": "Shenzhen",
    }
    fake.profile = pb.UserProfile(**fields)
    profile = await either.user_profile("crm", "hush")

    assert UserProfile(**fields) == profile
    assert "UserProfile(corp_id='ww1', user_id='zhang')" == repr(profile)
    assert [pb.GetUserProfileRequest(app="crm", user_ticket="hush")] == fake.requests
