"""Who a visitor is, and mini-program sessions."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest

from broker.simulator.demo import PARENT
from broker.simulator.faults import Errcode, Reset
from tests.integration.acting import APP, CHILD, SUPPLIER, Acting, acting, reason_of, target
from wecom_broker.v1 import identity_service_pb2 as pb
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path) as found:
        yield found


async def user_of(running: Acting, code: str) -> pb.User:
    return (await running.identity.ExchangeAuthCode(pb.ExchangeAuthCodeRequest(app=APP, code=code))).user


async def login(running: Acting, js_code: str) -> mini_pb.Session:
    request = mini_pb.ExchangeLoginCodeRequest(app=APP, js_code=js_code)
    return (await running.mini.ExchangeLoginCode(request)).session


async def test_the_link_names_the_parent_and_ends_as_wecom_wants_it(running: Acting) -> None:
    request = pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri="https://crm.example.com/in?x=1")
    answer = await running.identity.BuildAuthorizeUrl(request)
    query = parse_qs(urlsplit(answer.url).query)

    assert answer.url.endswith("#wechat_redirect")
    assert [PARENT.corpid] == query["appid"]
    assert ["https://crm.example.com/in?x=1"] == query["redirect_uri"]
    assert [str(PARENT.agentid)] == query["agentid"]
    assert [answer.state] == query["state"]
    assert answer.state.isalnum()


@pytest.mark.parametrize(("field", "request_"), [
    ("state", pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri="https://a.example/", state="a-b")),
    ("redirect_uri", pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri="javascript:alert(1)")),
])
async def test_a_link_that_wecom_would_refuse_is_not_built(
    running: Acting, field: str, request_: pb.BuildAuthorizeUrlRequest
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.identity.BuildAuthorizeUrl(request_)

    assert field == reason_of(caught.value)[1]["field"]


async def test_members_of_parent_and_child_are_told_apart(running: Acting) -> None:
    own = await user_of(running, running.world.login_code(PARENT.corpid, "zhangsan"))
    child = await user_of(running, running.world.login_code(CHILD, "lisi"))
    supplier = await user_of(running, running.world.login_code(SUPPLIER, "woSupplierMember00000000000001"))
    external = await user_of(running, running.world.visitor_code("openid-1", "wmCustomer1"))
    stranger = await user_of(running, running.world.visitor_code("openid-2"))

    assert (PARENT.corpid, "zhangsan", pb.USER_KIND_OWN_MEMBER) == (own.corp_id, own.user_id, own.kind)
    assert (CHILD, "lisi", pb.USER_KIND_CHILD_MEMBER) == (child.corp_id, child.user_id, child.kind)
    assert (SUPPLIER, pb.USER_KIND_CHILD_MEMBER, False) == (supplier.corp_id, supplier.kind, supplier.corp_unknown)
    assert ("wmCustomer1", pb.USER_KIND_EXTERNAL_CONTACT) == (external.external_user_id, external.kind)
    assert ("openid-2", pb.USER_KIND_NON_MEMBER, "") == (stranger.open_id, stranger.kind, stranger.corp_id)


async def test_a_spent_code_is_the_callers_mistake(running: Acting) -> None:
    code = running.world.login_code(CHILD, "lisi")
    await user_of(running, code)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await user_of(running, code)

    assert "CODE_REJECTED" == reason_of(caught.value)[0]


@pytest.mark.parametrize("fault", [Reset(), Errcode(-1), Errcode(40014)])
async def test_a_code_travels_once_whatever_wecom_does(running: Acting, fault: Reset | Errcode) -> None:
    await user_of(running, running.world.login_code(CHILD, "lisi"))  # opens the connection
    code = running.world.login_code(CHILD, "lisi")
    running.world.faults.add("/cgi-bin/auth/getuserinfo", fault, times=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await user_of(running, code)

    assert 1 == running.world.times_sent(code)
    assert "WECOM_UNAVAILABLE" == reason_of(caught.value)[0]


async def test_a_child_that_was_just_shared_is_known_after_one_more_listing(running: Acting) -> None:
    await user_of(running, running.world.login_code(CHILD, "lisi"))
    removed = await user_of(running, running.world.login_code(CHILD, "lisi"))

    assert not removed.corp_unknown


async def test_a_user_ticket_buys_the_profile(running: Acting) -> None:
    code = running.world.login_code(PARENT.corpid, "zhangsan", privateinfo=True)
    user = await user_of(running, code)
    request = pb.GetUserProfileRequest(app=APP, user_ticket=user.user_ticket)
    profile = (await running.identity.GetUserProfile(request)).profile

    assert (PARENT.corpid, "zhangsan") == (profile.corp_id, profile.user_id)


@pytest.mark.parametrize(("corp_id", "user_id"), [(CHILD, "lisi"), (SUPPLIER, "woSupplierMember00000000000001")])
async def test_a_childs_member_gets_the_childs_session(running: Acting, corp_id: str, user_id: str) -> None:
    session = await login(running, running.world.js_code(corp_id, user_id))
    key = await running.mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=session.session_id))

    assert (corp_id, True) == (session.corp_id, session.converted)
    assert user_id != session.source_user_id != ""
    assert running.world.session_key_of(corp_id, user_id) == key.session_key


async def test_the_parents_own_member_needs_no_conversion(running: Acting) -> None:
    session = await login(running, running.world.js_code(PARENT.corpid, "zhangsan"))

    assert (PARENT.corpid, "zhangsan", False, "") == (
        session.corp_id, session.user_id, session.converted, session.source_user_id
    )  # fmt: skip


async def test_data_is_decrypted_with_the_sessions_key_and_with_no_other(running: Acting) -> None:
    session = await login(running, running.world.js_code(PARENT.corpid, "zhangsan"))
    data, iv = running.world.encrypt_data(PARENT.corpid, "zhangsan", {"phone": "1"})
    request = mini_pb.DecryptDataRequest(session_id=session.session_id, encrypted_data=data, iv=iv)
    other = await login(running, running.world.js_code(CHILD, "lisi"))
    wrong = mini_pb.DecryptDataRequest(session_id=other.session_id, encrypted_data=data, iv=iv)

    assert b'"phone"' in (await running.mini.DecryptData(request)).plaintext
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.mini.DecryptData(wrong)
    assert "DATA_REJECTED" == reason_of(caught.value)[0]


async def test_a_second_login_leaves_the_first_session_working_and_a_deleted_one_is_gone(running: Acting) -> None:
    first = await login(running, running.world.js_code(CHILD, "lisi"))
    second = await login(running, running.world.js_code(CHILD, "lisi"))
    await running.mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=first.session_id))
    await running.mini.DeleteSession(mini_pb.DeleteSessionRequest(session_id=first.session_id))

    await running.mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=second.session_id))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=first.session_id))
    assert "SESSION_NOT_FOUND" == reason_of(caught.value)[0]


async def test_200_concurrent_logins_with_bad_codes_among_them_are_not_mixed_up(running: Acting) -> None:
    codes = []
    for number in range(200):
        corp_id, user_id = [(PARENT.corpid, "zhangsan"), (CHILD, "lisi")][number % 2]
        code = f"bad{number}" if number % 10 == 0 else running.world.js_code(corp_id, user_id)
        codes.append((code, corp_id))

    async def outcome(code: str) -> str:
        try:
            return (await login(running, code)).corp_id
        except grpc.aio.AioRpcError as error:
            return reason_of(error)[0]

    outcomes = await asyncio.gather(*(outcome(code) for code, _ in codes))
    expected = ["CODE_REJECTED" if code.startswith("bad") else corp_id for code, corp_id in codes]

    assert expected == outcomes
    assert {1} == {running.world.times_sent(code) for code, _ in codes}
    assert 20 == Counter(outcomes)["CODE_REJECTED"]


async def test_converting_with_a_key_that_the_caller_holds(running: Acting) -> None:
    session = await login(running, running.world.js_code(CHILD, "lisi"))
    request = mini_pb.ConvertSessionRequest(target=target(), user_id=session.source_user_id, session_key="x")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.mini.ConvertSession(request)

    assert "target.corp_id" == reason_of(caught.value)[1]["field"]
