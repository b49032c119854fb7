"""Who may act as whom: nothing that the configuration does not allow."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import js_sdk_service_pb2 as js_pb
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb

from broker.simulator.demo import PARENT
from tests.integration.acting.acting import (
    APP,
    CHILD,
    CHILD_AGENT,
    SUPPLIER,
    Acting,
    acting,
    collected,
    refusal_of,
    target,
)
from tests.kit.actions import ACTIONS

URL = "https://crm.example.com/"
OTHER_CHILD = "ww1child000000002"
EVERY_ACTION = [
    "jssdk.sign",
    "identity.exchange",
    "miniprogram.session",
    "miniprogram.session_key",
    "api.call",
]


class Caller:
    """One caller's way to every rpc, with its bearer token."""

    def __init__(self, running: Acting, name: str) -> None:
        self.world = running.world
        self._running = running
        self._metadata = (("authorization", f"Bearer token-of-{name}"),)

    def sign(self, corp_id: str = "", rpc: str = "SignPage") -> Any:
        request = {"SignPage": js_pb.SignPageRequest, "SignConfig": js_pb.SignConfigRequest}.get(
            rpc, js_pb.SignAgentConfigRequest
        )(target=target(corp_id), url=URL)
        return self._call(self._running.js_sdk, rpc, request)

    def report_ticket(self, generation: int = 1) -> Any:
        request = js_pb.ReportInvalidTicketRequest(
            target=target(), kind=js_pb.TICKET_KIND_CORP, generation=generation, errcode=40093
        )
        return self._call(self._running.js_sdk, "ReportInvalidTicket", request)

    def authorize_url(self) -> Any:
        request = identity_pb.BuildAuthorizeUrlRequest(app=APP, redirect_uri=URL)
        return self._call(self._running.identity, "BuildAuthorizeUrl", request)

    def user(self, code: str) -> Any:
        request = identity_pb.ExchangeAuthCodeRequest(app=APP, code=code)
        return self._call(self._running.identity, "ExchangeAuthCode", request)

    def profile(self, user_ticket: str) -> Any:
        request = identity_pb.GetUserProfileRequest(app=APP, user_ticket=user_ticket)
        return self._call(self._running.identity, "GetUserProfile", request)

    def login(self, js_code: str) -> Any:
        request = mini_pb.ExchangeLoginCodeRequest(app=APP, js_code=js_code)
        return self._call(self._running.mini, "ExchangeLoginCode", request)

    def convert(self, corp_id: str) -> Any:
        request = mini_pb.ConvertSessionRequest(target=target(corp_id), user_id="x", session_key="x")
        return self._call(self._running.mini, "ConvertSession", request)

    def decrypt(self, session_id: str) -> Any:
        request = mini_pb.DecryptDataRequest(session_id=session_id, encrypted_data="", iv="")
        return self._call(self._running.mini, "DecryptData", request)

    def verify(self, session_id: str) -> Any:
        request = mini_pb.VerifySignatureRequest(session_id=session_id, raw_data="a", signature="b")
        return self._call(self._running.mini, "VerifySignature", request)

    def session_key(self, session_id: str) -> Any:
        request = mini_pb.GetSessionKeyRequest(session_id=session_id)
        return self._call(self._running.mini, "GetSessionKey", request)

    def delete(self, session_id: str) -> Any:
        request = mini_pb.DeleteSessionRequest(session_id=session_id)
        return self._call(self._running.mini, "DeleteSession", request)

    def api(self, path: str, corp_id: str = "", **query: str) -> Any:
        request = api_pb.CallApiRequest(target=target(corp_id), path=path, query=query)
        return self._call(self._running.api, "CallApi", request)

    def upload(self, corp_id: str = "") -> Any:
        def pieces() -> Iterator[api_pb.UploadMediaRequest]:
            yield api_pb.UploadMediaRequest(
                target=target(corp_id), type="file", file_name="a", chunk=b"content"
            )

        return self._running.api.UploadMedia(pieces(), metadata=self._metadata, timeout=10)

    async def download(self, media_id: str, corp_id: str = "") -> bytes:
        request = api_pb.DownloadMediaRequest(target=target(corp_id), media_id=media_id)
        stream = self._running.api.DownloadMedia(request, metadata=self._metadata, timeout=10)
        return b"".join(message.chunk for message in await collected(stream))

    def _call(self, stub: Any, rpc: str, request: Message) -> Any:
        return getattr(stub, rpc)(request, metadata=self._metadata, timeout=10)


def allowed(
    *actions: str, corps: tuple[str, ...] = ("*",), paths: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    rule: dict[str, Any] = {"apps": [APP], "corps": list(corps), "actions": list(actions)}
    return [{**rule, "paths": list(paths)} if paths else rule]


@asynccontextmanager
async def callers(folder: Path, **allow: list[dict[str, Any]]) -> AsyncIterator[dict[str, Caller]]:
    """Run a broker that knows these callers by what they may do."""
    table = [
        {
            "name": name,
            "token_sha256": hashlib.sha256(f"token-of-{name}".encode()).hexdigest(),
            "allow": rules,
        }
        for name, rules in allow.items()
    ]
    async with acting(folder, callers=table) as running:
        yield {name: Caller(running, name) for name in [*allow, "stranger"]}


def every_rpc(caller: Caller, session_id: str) -> dict[str, Any]:
    """Return a sound call of each rpc of the four services."""
    world = caller.world
    return {
        "SignPage": caller.sign(),
        "SignConfig": caller.sign(rpc="SignConfig"),
        "SignAgentConfig": caller.sign(rpc="SignAgentConfig"),
        "ReportInvalidTicket": caller.report_ticket(),
        "BuildAuthorizeUrl": caller.authorize_url(),
        "ExchangeAuthCode": caller.user(world.people.login_code(PARENT.corpid, "zhangsan")),
        "GetUserProfile": caller.profile("x"),
        "ExchangeLoginCode": caller.login(world.people.js_code(PARENT.corpid, "zhangsan")),
        "ConvertSession": caller.convert(CHILD),
        "DecryptData": caller.decrypt(session_id),
        "VerifySignature": caller.verify(session_id),
        "GetSessionKey": caller.session_key(session_id),
        "DeleteSession": caller.delete(session_id),
        "CallApi": caller.api("/cgi-bin/user/get", userid="zhangsan"),
        "UploadMedia": caller.upload(),
        "DownloadMedia": caller.download("x"),
    }


NEW_SERVICES = ("JsSdkService", "IdentityService", "MiniProgramService", "WecomApiService")


async def test_a_caller_without_rules_and_one_that_nobody_knows_may_do_nothing(tmp_path: Path) -> None:
    async with callers(tmp_path, owner=allowed("miniprogram.session"), nobody=[]) as known:
        session = (await known["owner"].login(known["owner"].world.people.js_code(CHILD, "lisi"))).session
        for session_id in (session.session_id, "0" * 32, "malformed"):
            before = known["owner"].world.log.calls()
            refused = {
                name: {
                    rpc: (await refusal_of(call))[0]
                    for rpc, call in every_rpc(known[name], session_id).items()
                }
                for name in ("nobody", "stranger")
            }
            rpcs = {
                rpc.rpartition("/")[2]
                for rpc in ACTIONS
                if rpc.split("/")[1].rpartition(".")[2] in NEW_SERVICES
            }

            assert rpcs == set(refused["nobody"])
            assert {"CALLER_NOT_ALLOWED"} == set(refused["nobody"].values())
            assert {"UNAUTHENTICATED"} == set(refused["stranger"].values())
            assert before == known["owner"].world.log.calls()


@pytest.mark.parametrize("action", EVERY_ACTION)
async def test_each_action_opens_its_own_rpcs_and_no_others(tmp_path: Path, action: str) -> None:
    async with callers(tmp_path, one=allowed(action, paths=("*",))) as known:
        closed = {
            rpc
            for rpc, call in every_rpc(known["one"], "0" * 32).items()
            if await _outcome(call) == "CALLER_NOT_ALLOWED"
        }
        needs = {rpc.rpartition("/")[2]: needed for rpc, needed in ACTIONS.items()}

        assert {rpc for rpc in every_rpc_names() if needs[rpc] != action} == closed


def every_rpc_names() -> set[str]:
    return {rpc.rpartition("/")[2] for rpc in ACTIONS if rpc.split("/")[1].rpartition(".")[2] in NEW_SERVICES}


async def _outcome(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        from tests.integration.acting.acting import reason_of  # noqa: PLC0415

        return reason_of(error)[0]
    return "OK"


async def test_a_session_is_of_use_without_its_key_to_whoever_may_not_have_the_key(tmp_path: Path) -> None:
    rules = {"app": allowed("miniprogram.session"), "keeper": allowed("miniprogram.session_key")}
    async with callers(tmp_path, **rules) as known:
        app, keeper = known["app"], known["keeper"]
        session_id = (await app.login(app.world.people.js_code(CHILD, "lisi"))).session.session_id

        assert "CALLER_NOT_ALLOWED" == (await refusal_of(app.session_key(session_id)))[0]
        assert "DATA_REJECTED" == (await refusal_of(app.decrypt(session_id)))[0]
        assert (await keeper.session_key(session_id)).session_key
        assert "CALLER_NOT_ALLOWED" == (await refusal_of(keeper.decrypt(session_id)))[0]
        assert "CALLER_NOT_ALLOWED" == (await refusal_of(keeper.delete(session_id)))[0]
        await app.delete(session_id)
        assert "SESSION_NOT_FOUND" == (await refusal_of(keeper.session_key(session_id)))[0]


async def test_a_caller_for_one_child_acts_for_that_child_and_for_nobody_else(tmp_path: Path) -> None:
    rules = allowed(*EVERY_ACTION, corps=(CHILD,), paths=("*",))
    async with callers(tmp_path, one=rules) as known:
        one, world = known["one"], known["one"].world
        user = (await one.user(world.people.login_code(CHILD, "lisi"))).user
        session = (await one.login(world.people.js_code(CHILD, "lisi"))).session
        signed = await one.sign(CHILD)
        url = (await one.authorize_url()).url

        assert (CHILD, CHILD, CHILD) == (user.corp_id, session.corp_id, signed.config.corp_id)
        assert PARENT.corpid in url
        refused = [
            one.sign(OTHER_CHILD),
            one.sign(),
            one.sign(PARENT.corpid),
            one.user(world.people.login_code(OTHER_CHILD, "lisi")),
            one.user(world.people.login_code(PARENT.corpid, "zhangsan")),
            one.user(world.people.visitor_code("openid-1")),
            one.user(world.people.visitor_code("openid-1", "wmCustomer")),
            one.login(world.people.js_code(OTHER_CHILD, "lisi")),
            one.login(world.people.js_code(PARENT.corpid, "zhangsan")),
            one.convert(OTHER_CHILD),
            one.profile("x"),
            one.api("/cgi-bin/user/get", OTHER_CHILD),
            one.api("/cgi-bin/user/get"),
            one.upload(OTHER_CHILD),
            one.download("x", OTHER_CHILD),
        ]
        assert ["CALLER_NOT_ALLOWED"] * len(refused) == [(await refusal_of(call))[0] for call in refused]


async def test_a_session_of_another_corp_is_neither_told_nor_kept_nor_converted(tmp_path: Path) -> None:
    rules = {"one": allowed("miniprogram.session", corps=(CHILD,)), "all": allowed("miniprogram.session")}
    async with callers(tmp_path, **rules) as known:
        one, world = known["one"], known["one"].world
        code = world.people.js_code(SUPPLIER, "wangwu")
        reason, metadata = await refusal_of(one.login(code))
        theirs = (await known["all"].login(world.people.js_code(SUPPLIER, "wangwu"))).session
        for call in (
            one.decrypt(theirs.session_id),
            one.verify(theirs.session_id),
            one.delete(theirs.session_id),
        ):
            assert "CALLER_NOT_ALLOWED" == (await refusal_of(call))[0]

        assert ("CALLER_NOT_ALLOWED", 1) == (reason, world.log.times_sent(code))
        assert {"caller": "one", "action": "miniprogram.session", "app": APP} == metadata
        # The second login's.
        assert 1 == world.log.calls("/cgi-bin/miniprogram/transfer_session")
        assert "DATA_REJECTED" == (await refusal_of(known["all"].decrypt(theirs.session_id)))[0]


async def test_calls_are_allowed_path_by_path(tmp_path: Path) -> None:
    rules = {
        "reader": allowed("api.call", paths=("/cgi-bin/user/*",)),
        "uploader": allowed("api.call", paths=("/cgi-bin/media/upload",)),
        "downloader": allowed("api.call", paths=("/cgi-bin/media/get",)),
        "pathless": allowed("api.call"),
    }
    async with callers(tmp_path, **rules) as known:
        reader, world = known["reader"], known["reader"].world
        answer = await reader.api("/cgi-bin/user/get", userid="zhangsan")
        media_id = (await known["uploader"].upload()).media_id
        before = world.log.calls()
        refused = [
            reader.api("/cgi-bin/agent/get", CHILD, agentid=str(CHILD_AGENT)),
            reader.api("/cgi-bin/USER/get", userid="zhangsan"),
            reader.api("/cgi-bin/user"),
            reader.api(""),
            reader.upload(),
            reader.download(media_id),
            known["uploader"].download(media_id),
            known["uploader"].api("/cgi-bin/user/get", userid="zhangsan"),
            known["downloader"].upload(),
            *(known["pathless"].api(path) for path in ("/cgi-bin/user/get", "/cgi-bin/x", "")),
            known["pathless"].upload(),
            known["pathless"].download(media_id),
        ]

        assert 0 == answer.errcode
        assert ["CALLER_NOT_ALLOWED"] * len(refused) == [(await refusal_of(call))[0] for call in refused]
        assert before == world.log.calls()
        assert b"content" == await known["downloader"].download(media_id)


@pytest.mark.parametrize(
    "path", ["/cgi-bin/user/../gettoken", "/cgi-bin/user/get/../../gettoken", "/cgi-bin/user/" + "x" * 9000]
)
async def test_a_pattern_opens_no_way_around_what_never_passes(tmp_path: Path, path: str) -> None:
    async with callers(tmp_path, one=allowed("api.call", paths=("/cgi-bin/user/*",))) as known:
        reason, metadata = await refusal_of(known["one"].api(path))

        assert ("INVALID_REQUEST", "path") == (reason, metadata["field"])


async def test_a_right_to_sign_is_no_right_to_the_token(tmp_path: Path) -> None:
    from wecom_broker.v1 import token_service_pb2 as token_pb  # noqa: PLC0415

    async with callers(tmp_path, one=allowed(*EVERY_ACTION, paths=("*",))) as known:
        one = known["one"]
        call = one._call(
            one._running.tokens, "GetAccessToken", token_pb.GetAccessTokenRequest(target=target())
        )

        assert (await one.sign()).config.signature
        assert "CALLER_NOT_ALLOWED" == (await refusal_of(call))[0]
