"""No secret of a page, visitor or session lies about: not in logs, metrics, stores or errors."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import js_sdk_service_pb2 as js_pb
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb

from broker.simulator.demo import PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.faults import Errcode, Fault, HttpStatus, Junk, Reset, Truncated
from tests.integration.acting.acting import APP, CHILD, SUPPLIER, Acting, collected, tables_of, target
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import SEAL_KEY
from tests.kit.processes.left_behind import left_behind
from tests.kit.processes.redis_server import RedisServer
from tests.kit.secrecy import forms, leaks

URL = "https://crm.example.com/"


class Run:
    """Everything that services do, well and badly; what was secret in it, and what was said of it."""

    def __init__(self, running: Acting) -> None:
        self._running = running
        self._world = running.world
        self.secrets: dict[str, str] = {"app secret": SECRET}
        self.errors: list[str] = []
        self.answers = 0

    def secret(self, kind: str, value: str) -> str:
        """Remember a secret, and return it."""
        assert len(value) >= 8, kind
        self.secrets[f"{kind} {len(self.secrets)}"] = value
        return value

    async def attempt(self, call: Any) -> Any:
        """Return the answer; None, and its error noted with all details, where there is none."""
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            self.errors.append(f"{error!r} {error.debug_error_string()} {error.trailing_metadata()}")
            return None
        self.answers += 1
        return answer

    async def act(self, corp_id: str, user_id: str) -> None:
        """Call every rpc for one corp."""
        running, world = self._running, self._world
        token = await self.attempt(
            running.tokens.GetAccessToken(token_pb.GetAccessTokenRequest(target=target(corp_id)))
        )
        if token:
            self.secret("access token", token.token.value)
        signed = await self.attempt(
            running.js_sdk.SignPage(js_pb.SignPageRequest(target=target(corp_id), url=URL))
        )
        for kind, part in (("corp", "config"), ("agent", "agent_config")):
            if signed:
                self.secret(
                    f"{kind} ticket",
                    world.tickets.latest(kind, AppId(corp_id or PARENT.corpid, signed.agent_config.agent_id)),
                )
                report = js_pb.ReportInvalidTicketRequest(
                    target=target(corp_id),
                    kind=js_pb.TICKET_KIND_CORP if kind == "corp" else js_pb.TICKET_KIND_AGENT,
                    generation=getattr(signed, part).generation,
                    errcode=42012,
                )
                await self.attempt(running.js_sdk.ReportInvalidTicket(report))
                self.secret(
                    f"{kind} ticket",
                    world.tickets.latest(kind, AppId(corp_id or PARENT.corpid, signed.agent_config.agent_id)),
                )
        await self._visit(corp_id or PARENT.corpid, user_id)
        await self._log_in(corp_id or PARENT.corpid, user_id)
        await self._call(corp_id)

    async def _visit(self, corp_id: str, user_id: str) -> None:
        code = self.secret("code", self._world.people.login_code(corp_id, user_id, privateinfo=True))
        for _ in range(2):  # the second time it is spent
            request = identity_pb.ExchangeAuthCodeRequest(app=APP, code=code)
            answer = await self.attempt(self._running.identity.ExchangeAuthCode(request))
            if answer and answer.user.user_ticket:
                ticket = self.secret("user_ticket", answer.user.user_ticket)
                profile = identity_pb.GetUserProfileRequest(app=APP, user_ticket=ticket)
                await self.attempt(self._running.identity.GetUserProfile(profile))
        wrong = self.secret("user_ticket", "a-ticket-that-nobody-gave")
        await self.attempt(
            self._running.identity.GetUserProfile(
                identity_pb.GetUserProfileRequest(app=APP, user_ticket=wrong)
            )
        )
        broken = self.secret("code", "a code with blanks")
        await self.attempt(
            self._running.identity.ExchangeAuthCode(identity_pb.ExchangeAuthCodeRequest(app=APP, code=broken))
        )

    async def _log_in(self, corp_id: str, user_id: str) -> None:
        mini = self._running.mini
        js_code = self.secret("js_code", self._world.people.js_code(corp_id, user_id))
        session = None
        for _ in range(2):
            request = mini_pb.ExchangeLoginCodeRequest(app=APP, js_code=js_code)
            answer = await self.attempt(mini.ExchangeLoginCode(request))
            session = answer.session if answer else session
        broken = self.secret("js_code", "a js_code with blanks")
        await self.attempt(mini.ExchangeLoginCode(mini_pb.ExchangeLoginCodeRequest(app=APP, js_code=broken)))
        if session is None:
            return
        session_id = self.secret("session id", session.session_id)
        opened = self._world.logins.latest_session(corp_id, user_id)
        for value in filter(None, (opened.session_key, opened.child_session_key)):
            self.secret("session_key", value)
        await self.attempt(mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=session_id)))
        data, iv = self._world.people.encrypt_data(
            corp_id, user_id, {"phone": self.secret("phone", "13800001234")}
        )
        for sent in (data, data[:-4], "no base64!"):
            request = mini_pb.DecryptDataRequest(session_id=session_id, encrypted_data=sent, iv=iv)
            await self.attempt(mini.DecryptData(request))
        await self.attempt(
            mini.VerifySignature(
                mini_pb.VerifySignatureRequest(session_id=session_id, raw_data="a", signature="b")
            )
        )
        convert = mini_pb.ConvertSessionRequest(
            target=target(corp_id), user_id=session.source_user_id or "x", session_key=opened.session_key
        )
        converted = await self.attempt(mini.ConvertSession(convert))
        if converted:
            self.secret("session id", converted.session.session_id)
        wrong = self.secret("session_key", "a-key-that-nobody-gave==")
        convert = mini_pb.ConvertSessionRequest(target=target(corp_id), user_id="x", session_key=wrong)
        await self.attempt(mini.ConvertSession(convert))
        doomed = await self.attempt(
            mini.ExchangeLoginCode(
                mini_pb.ExchangeLoginCodeRequest(
                    app=APP, js_code=self.secret("js_code", self._world.people.js_code(corp_id, user_id))
                )
            )
        )
        if doomed:
            doomed_id = self.secret("session id", doomed.session.session_id)
            await self.attempt(mini.DeleteSession(mini_pb.DeleteSessionRequest(session_id=doomed_id)))
            await self.attempt(mini.GetSessionKey(mini_pb.GetSessionKeyRequest(session_id=doomed_id)))

    async def _call(self, corp_id: str) -> None:
        api = self._running.api
        for path in ("/cgi-bin/user/get", "/cgi-bin/gettoken", "/cgi-bin/no/such"):
            request = api_pb.CallApiRequest(target=target(corp_id), path=path, query={"userid": "zhangsan"})
            await self.attempt(api.CallApi(request))
        mine = self.secret("query", "a-token-that-the-caller-sends")
        request = api_pb.CallApiRequest(
            target=target(corp_id), path="/cgi-bin/x", query={"access_token": mine}
        )
        await self.attempt(api.CallApi(request))

        def pieces() -> Iterator[api_pb.UploadMediaRequest]:
            yield api_pb.UploadMediaRequest(
                target=target(corp_id), type="file", file_name="a", chunk=b"content"
            )

        uploaded = await self.attempt(api.UploadMedia(pieces()))
        for media_id in ("nothing", uploaded.media_id if uploaded else "nothing"):
            request = api_pb.DownloadMediaRequest(target=target(corp_id), media_id=media_id)
            await self.attempt(collected(api.DownloadMedia(request)))

    async def look(self) -> None:
        """Ask for everything that an operator sees."""
        credentials = await self._running.admin.ListCredentials(admin_pb.ListCredentialsRequest())
        quotas = await self._running.admin.GetQuotas(admin_pb.GetQuotasRequest())
        status = await self._running.admin.GetStatus(admin_pb.GetStatusRequest())
        self.errors += [str(credentials), str(quotas), str(status)]


FAULTS: list[Fault] = [
    Errcode(40014),
    Errcode(-1),
    HttpStatus(502),
    Reset(),
    Junk(),
    Truncated(),
    Errcode(45009),
]
ENDPOINTS = [
    "/cgi-bin/get_jsapi_ticket",
    "/cgi-bin/ticket/get",
    "/cgi-bin/auth/getuserinfo",
    "/cgi-bin/auth/getuserdetail",
    "/cgi-bin/miniprogram/jscode2session",
    "/cgi-bin/miniprogram/transfer_session",
    "/cgi-bin/user/get",
    "/cgi-bin/media/upload",
    "/cgi-bin/media/get",
]


@pytest.fixture(params=["sqlite", "redis"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[dict[str, Any], RedisServer | None]]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            (tmp_path / "store").mkdir()
            yield {"url": f"sqlite:///{tmp_path}/store/broker.db"}, None
            return
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        yield {"url": redis.url, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}, redis


@asynccontextmanager
async def _ran(
    tmp_path: Path, tables: dict[str, Any], world: World
) -> AsyncIterator[tuple[Run, BrokerProcess]]:
    with BrokerProcess(tmp_path / "broker", tables, log_level="debug") as broker:
        async with grpc.aio.insecure_channel(broker.address) as channel:
            run = Run(Acting(world, None, channel, None))  # type: ignore[arg-type]
            for corp_id, user_id in (("", "zhangsan"), (CHILD, "lisi"), (SUPPLIER, "wangwu")):
                await run.act(corp_id, user_id)
            served = run.answers
            assert served > 30, "the good way was gone"
            for fault in FAULTS:
                for endpoint in ENDPOINTS:
                    world.faults.add(endpoint, fault, times=1)
                await run.act(CHILD, "lisi")
            await run.look()
            yield run, broker


async def test_a_run_at_debug_level_leaves_no_secret_anywhere(
    tmp_path: Path, store: tuple[dict[str, Any], RedisServer | None]
) -> None:
    table, redis = store
    world = demo_world()
    async with running_simulator(world) as url:
        tables = {
            **tables_of(url, tmp_path),
            "server": {},
            "store": table,
            "refresh": {"cooldown_seconds": 0.05},
        }
        async with _ran(tmp_path, tables, world) as (run, broker):
            places = left_behind(tmp_path, [broker], redis, None)
            places["errors and views"] = "\n".join(run.errors).encode()
            kinds = {kind.rpartition(" ")[0] for kind in run.secrets}

            assert [] == [place for place, hay in places.items() if not hay and ".lock" not in place]
            assert b"upstream call" in places[str(broker.log)]
            assert b"session:" in b"".join(places.values())
            assert {
                "access token",
                "corp ticket",
                "agent ticket",
                "code",
                "js_code",
                "user_ticket",
                "session id",
                "session_key",
            } <= kinds
            needles = {kind: forms(value) for kind, value in run.secrets.items()}
            assert set() == leaks(needles, places)
