"""Who a user of a third-party app is: asked with the suite's token, and of the corp that the answer names."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.passthrough import Passthrough
from broker.adapters.wecom.shares import ShareEndpoints
from broker.adapters.wecom.users import UserEndpoints
from broker.domain.apps import AppKind
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import WecomProtocol
from broker.domain.people.users import User, UserKind
from broker.domain.ports.passthrough import ApiCall
from broker.domain.ports.wecom import LoginSession
from broker.domain.secret import Secret
from tests.unit.wecom_http.recorders import Surroundings, answering
from tests.unit.wecom_http.suites import (
    CHILD,
    CORP_TOKEN,
    PROVIDER_TOKEN,
    SUITE_TOKEN,
    Heard,
    recorded,
    token,
)

CODE = Secret("the-code-itself")
BY_SUITE = {"suite_access_token": SUITE_TOKEN.value.reveal()}
MEMBER = {"corpid": CHILD, "userid": "woGk7dBwAAh7", "open_userid": "woGk7dBwAAh7"}

Ask = Callable[[WecomClient], Awaitable[object]]


async def log_in(client: WecomClient) -> User:
    return await UserEndpoints(client).exchange_auth_code(SUITE_TOKEN, CODE)


async def look_up(client: WecomClient) -> dict[str, str]:
    return await UserEndpoints(client).fetch_profile(SUITE_TOKEN, CODE)


async def log_in_to_mini_program(client: WecomClient) -> LoginSession:
    return await UserEndpoints(client).exchange_login_code(SUITE_TOKEN, CODE)


async def test_a_login_is_asked_for_with_the_suite_s_token(around: Surroundings) -> None:
    answer = {**MEMBER, "user_ticket": "UTk9", "expires_in": 7200}
    async with recorded(answer) as (url, heard), around.wecom(url) as wecom:
        user = await log_in(wecom.client)

    query = {**BY_SUITE, "code": CODE.reveal()}
    assert [Heard("GET", "/cgi-bin/service/auth/getuserinfo3rd", query, None)] == heard
    assert User(CHILD, "woGk7dBwAAh7", UserKind.OWN_MEMBER, user_ticket=Secret("UTk9")) == user


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        ({"openid": "oAbc1XyZ"}, User("", "", UserKind.NON_MEMBER, open_id="oAbc1XyZ")),
        ({"openid": "o", "corpid": CHILD}, User("", "", UserKind.NON_MEMBER, open_id="o")),
        ({"external_userid": "wm1"}, User("", "", UserKind.EXTERNAL_CONTACT, "wm1")),
        ({"CorpId": CHILD, "UserId": "wo1"}, User(CHILD, "wo1", UserKind.OWN_MEMBER)),
        ({"corpid": CHILD, "userid": "wo/1"}, User(CHILD, "wo/1", UserKind.OWN_MEMBER)),
    ],
    ids=["visitor", "visitor of a corp", "customer", "old spelling", "a slash"],
)
async def test_each_kind_of_user_is_told_apart(
    around: Surroundings, answer: dict[str, Any], user: User
) -> None:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        assert user == await log_in(wecom.client)


ODD_CORPS = [None, "", 7, "wp 1", "wp/1", "wp\ufffd", "w" * 65]


@pytest.mark.parametrize("ask", [log_in, look_up, log_in_to_mini_program])
@pytest.mark.parametrize("corp_id", ODD_CORPS, ids=str)
async def test_a_member_without_a_corp_is_nobody(around: Surroundings, ask: Ask, corp_id: object) -> None:
    answer = {**MEMBER, "session_key": "k", "corpid": corp_id}
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol, match="corpid"):
            await ask(wecom.client)


@pytest.mark.parametrize("answer", [{}, {"corpid": CHILD}, {"userid": 7}, {"userid": "wo\ufffd"}], ids=str)
async def test_an_answer_that_names_no_user_is_an_error(around: Surroundings, answer: dict[str, Any]) -> None:
    async with answering(answer) as (url, _), around.wecom(url) as wecom:
        with pytest.raises(WecomProtocol) as refused:
            await log_in(wecom.client)

    assert {"endpoint": "/cgi-bin/service/auth/getuserinfo3rd"} == refused.value.metadata


async def test_a_profile_names_the_corp_and_not_the_userid_as_a_name(around: Surroundings) -> None:
    answer = {
        **MEMBER,
        "name": "woGk7dBwAAh7",
        "gender": "1",
        "avatar": "https://a/0",
        "qr_code": "https://q/0",
    }
    async with recorded(answer) as (url, heard), around.wecom(url) as wecom:
        profile = await look_up(wecom.client)

    body = {"user_ticket": CODE.reveal()}
    assert [Heard("POST", "/cgi-bin/service/auth/getuserdetail3rd", BY_SUITE, body)] == heard
    assert {
        "corpid": CHILD,
        "userid": "woGk7dBwAAh7",
        "gender": "1",
        "avatar": "https://a/0",
        "qr_code": "https://q/0",
    } == profile


async def test_a_mini_program_login_is_of_the_corp_in_the_answer(around: Surroundings) -> None:
    async with (
        recorded({**MEMBER, "session_key": "Vn0cZ2Lr8Qw=="}) as (url, heard),
        around.wecom(url) as wecom,
    ):
        session = await log_in_to_mini_program(wecom.client)

    query = {**BY_SUITE, "js_code": CODE.reveal(), "grant_type": "authorization_code"}
    assert [Heard("GET", "/cgi-bin/service/miniprogram/jscode2session", query, None)] == heard
    assert LoginSession(CHILD, "woGk7dBwAAh7", Secret("Vn0cZ2Lr8Qw==")) == session


@pytest.mark.parametrize("kind", [AppKind.THIRD_PARTY, AppKind.CUSTOMIZED])
@pytest.mark.parametrize("share_kind", [ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN])
async def test_a_parent_s_shares_are_listed_with_its_corp_s_token_and_agent(
    around: Surroundings, kind: AppKind, share_kind: ShareKind
) -> None:
    corp_token = token(CredentialKey(kind, CHILD, 1000007), "the-corp-token")
    listed = {"ending": 1, "corp_list": [{"corpid": "wp1", "corp_name": "晨星华东", "agentid": 1000012}]}
    async with recorded(listed) as (url, heard), around.wecom(url) as wecom:
        shares = (await ShareEndpoints(wecom.client).list_app_shares(corp_token, share_kind)).shares

    path = "/cgi-bin/corpgroup/corp/list_app_share_info"
    body = {"agentid": 1000007, "business_type": share_kind.business_type, "limit": 100}
    assert [Heard("POST", path, {"access_token": "the-corp-token"}, body)] == heard
    assert [(share_kind, "wp1", 1000012)] == [(one.share_kind, one.corp_id, one.agent_id) for one in shares]


@pytest.mark.parametrize(
    ("credential", "name"),
    [
        (CORP_TOKEN, "access_token"),
        (SUITE_TOKEN, "suite_access_token"),
        (PROVIDER_TOKEN, "provider_access_token"),
    ],
)
async def test_a_caller_s_call_carries_the_token_under_its_name_and_no_answer_shows_it(
    around: Surroundings, credential: Credential, name: str
) -> None:
    value = credential.value.reveal()
    said = {"errcode": 0, "errmsg": f"ok {value}", "url": f"https://x/?{name}={value}"}
    call = ApiCall("POST", "/cgi-bin/license/get_order", (("x", "1"),), b'{"order_id":"o"}')
    async with recorded(said) as (url, heard), around.wecom(url) as wecom:
        answer = await Passthrough(wecom.client).call(credential, call)

    assert [Heard("POST", call.path, {"x": "1", name: value}, {"order_id": "o"})] == heard
    assert value not in f"{answer.errmsg}{answer.body!r}"
    assert answer.errmsg == "ok ***"
