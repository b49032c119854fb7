"""Who a visitor is, and mini-program sessions."""

import asyncio
import base64
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from wecom_broker.v1 import identity_service_pb2 as pb
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb

from broker.simulator.demo import PARENT
from broker.simulator.world.corps import AppId
from broker.simulator.world.faults import Errcode, Fault, Hang, HttpStatus, Junk, JunkKind, Reset, Truncated
from broker.simulator.world.people.mini_program import APP_ID, encrypt_data, sign_data
from broker.simulator.world.shares import BusinessType
from tests.integration.acting.acting import (
    APP,
    CHILD,
    SUPPLIER,
    Acting,
    acting,
    reason_of,
    refusal_of,
    target,
)
from tests.kit.processes.fleet import SEAL_KEY, until
from tests.kit.processes.redis_server import RedisServer


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


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("state", pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri="https://a.example/", state="a-b")),
        ("redirect_uri", pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri="javascript:alert(1)")),
    ],
)
async def test_a_link_that_wecom_would_refuse_is_not_built(
    running: Acting, field: str, request_: pb.BuildAuthorizeUrlRequest
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.identity.BuildAuthorizeUrl(request_)

    assert field == reason_of(caught.value)[1]["field"]


async def test_members_of_parent_and_child_are_told_apart(running: Acting) -> None:
    own = await user_of(running, running.world.people.login_code(PARENT.corpid, "zhangsan"))
    child = await user_of(running, running.world.people.login_code(CHILD, "lisi"))
    supplier = await user_of(
        running, running.world.people.login_code(SUPPLIER, "woSupplierMember00000000000001")
    )
    external = await user_of(running, running.world.people.visitor_code("openid-1", "wmCustomer1"))
    stranger = await user_of(running, running.world.people.visitor_code("openid-2"))

    assert (PARENT.corpid, "zhangsan", pb.USER_KIND_OWN_MEMBER) == (own.corp_id, own.user_id, own.kind)
    assert (CHILD, "lisi", pb.USER_KIND_CHILD_MEMBER) == (child.corp_id, child.user_id, child.kind)
    assert (SUPPLIER, pb.USER_KIND_CHILD_MEMBER, False) == (
        supplier.corp_id,
        supplier.kind,
        supplier.corp_unknown,
    )
    assert ("wmCustomer1", pb.USER_KIND_EXTERNAL_CONTACT) == (external.external_user_id, external.kind)
    assert ("openid-2", pb.USER_KIND_NON_MEMBER, "") == (stranger.open_id, stranger.kind, stranger.corp_id)


async def test_a_spent_code_is_the_callers_mistake(running: Acting) -> None:
    code = running.world.people.login_code(CHILD, "lisi")
    await user_of(running, code)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await user_of(running, code)

    assert "CODE_REJECTED" == reason_of(caught.value)[0]


@pytest.mark.parametrize("fault", [Reset(), Errcode(-1), Errcode(42009)])
async def test_a_code_travels_once_whatever_wecom_does(running: Acting, fault: Reset | Errcode) -> None:
    await user_of(running, running.world.people.login_code(CHILD, "lisi"))  # opens the connection
    code = running.world.people.login_code(CHILD, "lisi")
    running.world.faults.add("/cgi-bin/auth/getuserinfo", fault, times=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await user_of(running, code)

    assert 1 == running.world.log.times_sent(code)
    assert "WECOM_UNAVAILABLE" == reason_of(caught.value)[0]


async def test_a_child_that_was_just_shared_is_known_after_one_more_listing(running: Acting) -> None:
    await user_of(running, running.world.people.login_code(CHILD, "lisi"))
    removed = await user_of(running, running.world.people.login_code(CHILD, "lisi"))

    assert not removed.corp_unknown


async def test_a_user_ticket_buys_the_profile(running: Acting) -> None:
    code = running.world.people.login_code(PARENT.corpid, "zhangsan", privateinfo=True)
    user = await user_of(running, code)
    request = pb.GetUserProfileRequest(app=APP, user_ticket=user.user_ticket)
    profile = (await running.identity.GetUserProfile(request)).profile

    assert (PARENT.corpid, "zhangsan") == (profile.corp_id, profile.user_id)


@pytest.mark.parametrize(
    ("corp_id", "user_id"), [(CHILD, "lisi"), (SUPPLIER, "woSupplierMember00000000000001")]
)
async def test_a_childs_member_gets_the_childs_session(running: Acting, corp_id: str, user_id: str) -> None:
    session = await login(running, running.world.people.js_code(corp_id, user_id))
    key = await running.mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=session.session_id))

    assert (corp_id, True) == (session.corp_id, session.converted)
    assert user_id != session.source_user_id != ""
    assert running.world.people.session_key_of(corp_id, user_id) == key.session_key


async def test_the_parents_own_member_needs_no_conversion(running: Acting) -> None:
    session = await login(running, running.world.people.js_code(PARENT.corpid, "zhangsan"))

    assert (PARENT.corpid, "zhangsan", False, "") == (
        session.corp_id, session.user_id, session.converted, session.source_user_id
    )  # fmt: skip


async def test_data_is_decrypted_with_the_sessions_key_and_with_no_other(running: Acting) -> None:
    session = await login(running, running.world.people.js_code(PARENT.corpid, "zhangsan"))
    data, iv = running.world.people.encrypt_data(PARENT.corpid, "zhangsan", {"phone": "1"})
    request = mini_pb.DecryptDataRequest(session_id=session.session_id, encrypted_data=data, iv=iv)
    other = await login(running, running.world.people.js_code(CHILD, "lisi"))
    wrong = mini_pb.DecryptDataRequest(session_id=other.session_id, encrypted_data=data, iv=iv)

    assert b'"phone"' in (await running.mini.DecryptData(request)).plaintext
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.mini.DecryptData(wrong)
    assert "DATA_REJECTED" == reason_of(caught.value)[0]


async def test_a_second_login_leaves_the_first_session_working_and_a_deleted_one_is_gone(
    running: Acting,
) -> None:
    first = await login(running, running.world.people.js_code(CHILD, "lisi"))
    second = await login(running, running.world.people.js_code(CHILD, "lisi"))
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
        code = f"bad{number}" if number % 10 == 0 else running.world.people.js_code(corp_id, user_id)
        codes.append((code, corp_id))

    async def outcome(code: str) -> str:
        try:
            return (await login(running, code)).corp_id
        except grpc.aio.AioRpcError as error:
            return reason_of(error)[0]

    outcomes = await asyncio.gather(*(outcome(code) for code, _ in codes))
    expected = ["CODE_REJECTED" if code.startswith("bad") else corp_id for code, corp_id in codes]

    assert expected == outcomes
    assert {1} == {running.world.log.times_sent(code) for code, _ in codes}
    assert 20 == Counter(outcomes)["CODE_REJECTED"]


async def test_converting_with_a_key_that_the_caller_holds(running: Acting) -> None:
    session = await login(running, running.world.people.js_code(CHILD, "lisi"))
    request = mini_pb.ConvertSessionRequest(target=target(), user_id=session.source_user_id, session_key="x")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.mini.ConvertSession(request)

    assert "target.corp_id" == reason_of(caught.value)[1]["field"]


@pytest.mark.parametrize("errcode", [0, 40003, 40058, 42013, 46004, 60111])
async def test_a_session_key_that_does_not_fit_is_data_rejected_and_named(
    running: Acting, errcode: int
) -> None:
    session = await login(running, running.world.people.js_code(CHILD, "lisi"))
    if errcode:
        running.world.faults.add("/cgi-bin/miniprogram/transfer_session", Errcode(errcode), times=1)
    request = mini_pb.ConvertSessionRequest(
        target=target(CHILD), user_id=session.source_user_id, session_key="Zm9yZWlnbg=="
    )
    reason, metadata = await refusal_of(running.mini.ConvertSession(request))

    assert "DATA_REJECTED" == reason
    assert metadata.get("field", "session_key") == "session_key"
    assert metadata["errcode"] == str(errcode or 42013)


@pytest.mark.parametrize("errcode", [40003, 40058, 81013])
async def test_a_mistake_that_wecom_blames_on_the_caller_names_a_field_that_the_caller_gave(
    running: Acting, errcode: int
) -> None:
    calls = {
        "code": ("/cgi-bin/auth/getuserinfo", lambda: user_of(running, "any-code")),
        "js_code": ("/cgi-bin/miniprogram/jscode2session", lambda: login(running, "any-code")),
        "user_ticket": (
            "/cgi-bin/auth/getuserdetail",
            lambda: running.identity.GetUserProfile(
                pb.GetUserProfileRequest(app=APP, user_ticket="any-ticket")
            ),
        ),
    }
    for field, (path, call) in calls.items():
        running.world.faults.add(path, Errcode(errcode), times=1)
        reason, metadata = await refusal_of(call())

        assert ("INVALID_REQUEST", field) == (reason, metadata["field"])


GETUSERINFO, JSCODE2SESSION = "/cgi-bin/auth/getuserinfo", "/cgi-bin/miniprogram/jscode2session"
TRANSFER = "/cgi-bin/miniprogram/transfer_session"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Hang(), "WECOM_UNAVAILABLE"),
        (Hang(takes_effect=True), "WECOM_UNAVAILABLE"),
        (Reset(), "WECOM_UNAVAILABLE"),
        (Reset(takes_effect=True), "WECOM_UNAVAILABLE"),
        (HttpStatus(500), "WECOM_UNAVAILABLE"),
        (HttpStatus(502), "WECOM_UNAVAILABLE"),
        (HttpStatus(429), "RATE_LIMITED"),
        (HttpStatus(302), "WECOM_PROTOCOL"),
        (HttpStatus(404), "WECOM_PROTOCOL"),
        *((Junk(kind), "WECOM_PROTOCOL") for kind in JunkKind),
        (Truncated(), "WECOM_PROTOCOL"),
        *((Errcode(code), "WECOM_UNAVAILABLE") for code in (-1, 6000, 40082, 42009)),
        (Errcode(45009), "RATE_LIMITED"),
        (Errcode(60020), "IP_NOT_TRUSTED"),
        *((Errcode(code), "CODE_REJECTED") for code in (40029, 42003, 42022)),
        (Errcode(50001), "API_NOT_AUTHORIZED"),
        (Errcode(999_999), "WECOM_PROTOCOL"),
    ],
)
async def test_no_failure_of_wecom_makes_a_code_travel_twice(
    tmp_path: Path, fault: Fault, reason: str
) -> None:
    # Where nothing hangs, a busy machine may take its time.
    timeout = 1.0 if isinstance(fault, Hang) else 20.0
    async with acting(tmp_path, wecom={"timeout_seconds": timeout}) as running:
        # Opens the connections, and fetches the tokens.
        await user_of(running, running.world.people.login_code(CHILD, "lisi"))
        await login(running, running.world.people.js_code(CHILD, "lisi"))
        code, js_code = (
            running.world.people.login_code(CHILD, "lisi"),
            running.world.people.js_code(CHILD, "lisi"),
        )
        for path in (GETUSERINFO, JSCODE2SESSION):
            running.world.faults.add(path, fault, times=1)
        user, session = await refusal_of(user_of(running, code)), await refusal_of(login(running, js_code))

        assert (reason, reason) == (user[0], session[0])
        assert (1, 1) == (running.world.log.times_sent(code), running.world.log.times_sent(js_code))
        assert not [word for word in (code, js_code) if word in f"{user}{session}"]


@pytest.mark.parametrize("errcode", [40014, 42001])
@pytest.mark.parametrize("kind", ["page", "mini-program"])
async def test_a_login_that_finds_the_token_dead_is_made_with_a_new_one(
    running: Acting, kind: str, errcode: int
) -> None:
    running.world.settings.death_errcode = errcode
    log_in, code_of = {
        "page": (user_of, running.world.people.login_code),
        "mini-program": (login, running.world.people.js_code),
    }[kind]
    await log_in(running, code_of(PARENT.corpid, "zhangsan"))
    running.world.kill_app(*PARENT)
    code = code_of(PARENT.corpid, "zhangsan")
    found = await log_in(running, code)

    # WeCom looked at the token only, the first time.
    assert ("zhangsan", 2) == (found.user_id, running.world.log.times_sent(code))
    with pytest.raises(grpc.aio.AioRpcError) as spent:
        await log_in(running, code)
    assert "CODE_REJECTED" == reason_of(spent.value)[0]


async def test_the_token_is_fetched_once_however_many_logins_find_it_dead(running: Acting) -> None:
    await user_of(running, running.world.people.login_code(PARENT.corpid, "zhangsan"))
    running.world.kill_app(*PARENT)
    codes = [running.world.people.login_code(PARENT.corpid, "zhangsan") for _ in range(30)]
    users = await asyncio.gather(*(user_of(running, code) for code in codes))

    assert 2 == running.world.log.calls("/cgi-bin/gettoken")
    assert {"zhangsan"} == {user.user_id for user in users}
    assert max(running.world.log.times_sent(code) for code in codes) <= 2


async def test_a_member_of_a_corp_that_left_is_told_with_a_flag_after_one_more_listing(
    tmp_path: Path,
) -> None:
    async with acting(tmp_path, refresh={"cooldown_seconds": 0.05}) as running:
        await user_of(running, running.world.people.login_code(CHILD, "lisi"))
        running.world.add_corp("ww9stranger0000001", "陌生公司")
        await asyncio.sleep(0.1)
        listings = running.world.log.calls("/cgi-bin/corpgroup/corp/list_app_share_info")
        user = await user_of(running, running.world.people.login_code("ww9stranger0000001", "wangwu"))
        after = running.world.log.calls("/cgi-bin/corpgroup/corp/list_app_share_info")

        assert ("ww9stranger0000001", "wangwu", True) == (user.corp_id, user.user_id, user.corp_unknown)
        # One of each kind of share.
        assert listings + 2 == after


@pytest.mark.parametrize("code", ["", "a b", "x" * 513, "ü"])
async def test_a_malformed_code_is_refused_by_field_and_not_sent(running: Acting, code: str) -> None:
    before = running.world.log.calls()
    profile = running.identity.GetUserProfile(pb.GetUserProfileRequest(app=APP, user_ticket=code))
    fields = [
        (await refusal_of(call))[1]["field"]
        for call in (user_of(running, code), login(running, code), profile)
    ]

    assert ["code", "js_code", "user_ticket"] == fields
    assert before == running.world.log.calls()


async def session_key(running: Acting, session_id: str) -> str:
    answer = await running.mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=session_id))
    return answer.session_key


async def decrypted(running: Acting, session_id: str, data: str, iv: str) -> bytes:
    request = mini_pb.DecryptDataRequest(session_id=session_id, encrypted_data=data, iv=iv)
    return (await running.mini.DecryptData(request)).plaintext


async def test_a_signature_is_valid_with_its_own_session_only(running: Acting) -> None:
    one = await login(running, running.world.people.js_code(CHILD, "lisi"))
    other = await login(running, running.world.people.js_code(PARENT.corpid, "zhangsan"))
    signature = sign_data(await session_key(running, one.session_id), '{"a":1}')

    async def valid(session_id: str, raw_data: str) -> bool:
        request = mini_pb.VerifySignatureRequest(
            session_id=session_id, raw_data=raw_data, signature=signature
        )
        return (await running.mini.VerifySignature(request)).valid

    assert await valid(one.session_id, '{"a":1}')
    assert not await valid(one.session_id, '{"a":2}')
    assert not await valid(other.session_id, '{"a":1}')


def flipped(text: str, position: int) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[position] ^= 1
    return base64.b64encode(raw).decode()


async def test_whatever_does_not_fit_is_refused_in_one_shape(running: Acting) -> None:
    session = await login(running, running.world.people.js_code(PARENT.corpid, "zhangsan"))
    key = await session_key(running, session.session_id)
    data, iv = encrypt_data(
        key, {"phone": "13800000000", "watermark": {"appid": APP_ID, "timestamp": 1}}, b"i" * 16
    )
    other_key = base64.b64encode(os.urandom(16)).decode()
    wrong = [
        ("", iv),
        (data, ""),
        ("no base64!", iv),
        (data, "no base64!"),
        (data[:-4], iv),
        (flipped(data, -1), iv),
        (flipped(data, 0), iv),
        (data, flipped(iv, 0)),
        (data, base64.b64encode(b"i" * 15).decode()),
        (base64.b64encode(os.urandom(64)).decode(), iv),
        (encrypt_data(other_key, {"phone": "1"}, b"i" * 16)[0], iv),
    ]
    told = set()
    for bad_data, bad_iv in wrong:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await decrypted(running, session.session_id, bad_data, bad_iv)
        reason, metadata = reason_of(caught.value)
        told.add((caught.value.code(), caught.value.details(), reason, tuple(sorted(metadata.items()))))

    assert 1 == len(told)
    assert "DATA_REJECTED" == told.pop()[2]


@pytest.mark.parametrize(
    ("watermark", "accepted"),
    [
        ({"appid": APP_ID, "timestamp": 0}, True),
        ({"appid": "wx-other", "timestamp": 0}, False),
        ({"appid": APP_ID, "timestamp": -3600}, False),
        ({"appid": APP_ID, "timestamp": 3600}, False),
        ({"appid": APP_ID}, False),
        (None, False),
    ],
)
async def test_a_watermark_is_checked_where_the_configuration_says_what_it_must_be(
    tmp_path: Path, watermark: dict[str, object] | None, accepted: bool
) -> None:
    async with acting(tmp_path, {"mini_program": {"app_id": APP_ID, "max_age_seconds": 300}}) as running:
        session = await login(running, running.world.people.js_code(PARENT.corpid, "zhangsan"))
        key = await session_key(running, session.session_id)
        if watermark and "timestamp" in watermark:
            watermark["timestamp"] = int(running.world.now()) + int(watermark["timestamp"])  # type: ignore[call-overload]
        fields = {"phone": "1", **({"watermark": watermark} if watermark else {})}
        call = decrypted(running, session.session_id, *encrypt_data(key, fields, os.urandom(16)))

        if accepted:
            assert fields == json.loads(await call)
        else:
            assert "DATA_REJECTED" == (await refusal_of(call))[0]


async def test_a_caller_who_holds_the_parents_key_gets_the_childs_session(running: Acting) -> None:
    first = await login(running, running.world.people.js_code(CHILD, "lisi"))
    parents_key = running.world.logins.latest_session(CHILD, "lisi").session_key
    request = mini_pb.ConvertSessionRequest(
        target=target(CHILD), user_id=first.source_user_id, session_key=parents_key
    )
    session = (await running.mini.ConvertSession(request)).session

    assert (CHILD, first.user_id, True) == (session.corp_id, session.user_id, session.converted)
    assert first.session_id != session.session_id
    assert running.world.people.session_key_of(CHILD, "lisi") == await session_key(
        running, session.session_id
    )


@pytest.mark.parametrize("corp_id", [CHILD, SUPPLIER])
async def test_a_transfer_that_finds_the_childs_token_dead_is_sent_once_more(
    running: Acting, corp_id: str
) -> None:
    await login(running, running.world.people.js_code(corp_id, "wangwu"))
    for share_agent in (1000010, 1000020):
        running.world.kill_app(corp_id, share_agent)
    code = running.world.people.js_code(corp_id, "wangwu")
    session = await login(running, code)

    assert corp_id == session.corp_id
    assert (3, 1) == (running.world.log.calls(TRANSFER), running.world.log.times_sent(code))


async def test_a_child_with_the_app_through_both_kinds_must_be_told_apart_by_share_kind(
    running: Acting,
) -> None:
    running.world.share(PARENT, AppId(CHILD, 1000099), BusinessType.SUPPLY_CHAIN)
    code = running.world.people.js_code(CHILD, "lisi")
    reason, metadata = await refusal_of(login(running, code))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await login(running, running.world.people.js_code(CHILD, "lisi"))
    request = mini_pb.ExchangeLoginCodeRequest(
        app=APP, js_code=running.world.people.js_code(CHILD, "lisi"), share_kind="SHARE_KIND_CORP_GROUP"
    )
    session = (await running.mini.ExchangeLoginCode(request)).session

    assert ("AMBIGUOUS_TARGET", "share_kind", 1) == (
        reason,
        metadata["field"],
        running.world.log.times_sent(code),
    )
    assert "log in again" in (caught.value.details() or "")
    assert CHILD == session.corp_id


async def test_a_child_with_several_agent_ids_must_be_told_apart_by_agent_id(running: Acting) -> None:
    running.world.share(PARENT, AppId(CHILD, 1000099))
    reason, metadata = await refusal_of(login(running, running.world.people.js_code(CHILD, "lisi")))
    requests = [
        mini_pb.ExchangeLoginCodeRequest(
            app=APP, js_code=running.world.people.js_code(CHILD, "lisi"), agent_id=agent_id
        )
        for agent_id in (1000099, -1)
    ]
    session = (await running.mini.ExchangeLoginCode(requests[0])).session
    malformed = await refusal_of(running.mini.ExchangeLoginCode(requests[1]))

    assert ("AMBIGUOUS_TARGET", "agent_id") == (reason, metadata["field"])
    assert CHILD == session.corp_id
    assert ("INVALID_REQUEST", "agent_id") == (malformed[0], malformed[1]["field"])
    assert 0 == running.world.log.times_sent(requests[1].js_code)


async def test_40_logins_of_one_user_at_once_are_40_sessions(running: Acting) -> None:
    codes = [running.world.people.js_code(CHILD, "lisi") for _ in range(40)]
    sessions = await asyncio.gather(*(login(running, code) for code in codes))
    keys = await asyncio.gather(*(session_key(running, session.session_id) for session in sessions))

    assert (40, 40) == (len({session.session_id for session in sessions}), len(set(keys)))
    assert {(CHILD, "lisi")} == {(session.corp_id, session.user_id) for session in sessions}


@pytest.mark.parametrize("session_id", ["0" * 32, "f" * 32])
async def test_an_id_that_nobody_got_opens_nothing(running: Acting, session_id: str) -> None:
    await login(running, running.world.people.js_code(CHILD, "lisi"))
    delete = running.mini.DeleteSession(mini_pb.DeleteSessionRequest(session_id=session_id))
    for call in (session_key(running, session_id), decrypted(running, session_id, "", ""), delete):
        assert "SESSION_NOT_FOUND" == (await refusal_of(call))[0]


async def test_brokers_on_one_redis_share_sessions_and_say_when_it_is_away(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        store = {"url": redis.url, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}
        async with acting(tmp_path, store=store) as one, one.another() as other:
            session = await login(one, one.world.people.js_code(CHILD, "lisi"))
            doomed = await login(other, one.world.people.js_code(CHILD, "lisi"))
            key = await session_key(other, session.session_id)
            await one.mini.DeleteSession(mini_pb.DeleteSessionRequest(session_id=doomed.session_id))
            gone = await refusal_of(session_key(other, doomed.session_id))
            redis.kill()
            unspent = one.world.people.js_code(CHILD, "lisi")
            away = await refusal_of(login(one, unspent))
            unreadable = await refusal_of(session_key(one, session.session_id))

            assert (32, 24) == (len(session.session_id), len(key))
            assert "SESSION_NOT_FOUND" == gone[0]
            assert ("STORE_UNAVAILABLE", "STORE_UNAVAILABLE") == (away[0], unreadable[0])
            assert 0 == one.world.log.times_sent(unspent)
            redis.start()

            async def logs_in() -> bool:
                try:
                    return bool((await login(one, unspent)).session_id)
                except grpc.aio.AioRpcError:
                    return False

            await until(logs_in)
