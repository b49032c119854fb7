"""Who may act for corps of a suite, for the suite itself, and for its provider: whoever a rule names."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from wecom_broker import Broker
from wecom_broker.v1 import (
    admin_service_pb2 as admin_pb,
)
from wecom_broker.v1 import (
    admin_service_pb2_grpc,
    app_share_service_pb2_grpc,
    event_service_pb2_grpc,
    identity_service_pb2_grpc,
    js_sdk_service_pb2_grpc,
    mini_program_service_pb2_grpc,
    suite_service_pb2_grpc,
    token_service_pb2_grpc,
    wecom_api_service_pb2_grpc,
)
from wecom_broker.v1 import (
    app_share_service_pb2 as share_pb,
)
from wecom_broker.v1 import (
    event_service_pb2 as event_pb,
)
from wecom_broker.v1 import (
    identity_service_pb2 as identity_pb,
)
from wecom_broker.v1 import (
    js_sdk_service_pb2 as js_pb,
)
from wecom_broker.v1 import (
    mini_program_service_pb2 as mini_pb,
)
from wecom_broker.v1 import (
    suite_service_pb2 as suite_pb,
)
from wecom_broker.v1 import (
    token_service_pb2 as token_pb,
)
from wecom_broker.v1 import (
    wecom_api_service_pb2 as api_pb,
)
from wecom_broker.v1.target_pb2 import Target

from broker.domain.access import Action
from broker.simulator import EventKind
from broker.simulator.callbacks.suite_sender import send_suite_event
from broker.simulator.provider_demo import INSTALLER, PARENT, PROVIDER
from broker.simulator.provider_demo import MARKET as SUITE_ID
from tests.integration.acting.acting import reason_of, refusal_of
from tests.integration.suites.three_kinds import (
    ACME,
    BY_INSTALLATION,
    BY_TOKEN,
    CRM,
    MARKET,
    TAILORED,
    Kinds,
    installed,
    three_kinds,
)
from tests.kit.actions import ACTIONS

URL = "https://app.example.com/"
OTHERS = {MARKET: BY_TOKEN, TAILORED: BY_INSTALLATION}
"""Of each suite, a corp beside the parent that authorised it."""
REFUSED = "CALLER_NOT_ALLOWED"


class Caller:
    """The services of a broker, for one caller."""

    def __init__(self, channel: grpc.aio.Channel, name: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer token-of-{name}"),)

    def _options(self) -> dict[str, Any]:
        return {"metadata": self._metadata, "timeout": 20}

    def ask(self, service: Any, rpc: str, request: Any) -> Awaitable[Any]:
        """Call an rpc."""
        return getattr(service(self._channel), rpc)(request, **self._options())  # type: ignore[no-any-return]

    async def first(self, service: Any, rpc: str, request: Any) -> Any:
        """Return the first message of a stream."""
        stream = getattr(service(self._channel), rpc)(request, **self._options())
        try:
            return await stream.read()
        finally:
            stream.cancel()


@dataclass(frozen=True)
class Scene:
    """What calls are about: an app in a corp, and what its users bring."""

    kinds: Kinds
    app: str
    owner: Broker
    """A client that may do everything."""

    @property
    def corp(self) -> str:
        """Return the corp that calls are about."""
        return self.kinds.corpid(PARENT)

    @property
    def login_corp(self) -> str:
        """Return the corp whose link users follow."""
        return self.corp if self.app == TAILORED else ""

    @property
    def target(self) -> Target:
        """Return the app in that corp."""
        return Target(app=self.app, corp_id=self.corp)

    def code(self) -> str:
        """Return the code of a member of the corp."""
        return self.kinds.world.people.suite_login_code(self.app, PARENT, INSTALLER, privateinfo=True)

    def js_code(self) -> str:
        """Return the code of a member's mini-program."""
        return self.kinds.world.people.suite_js_code(self.app, PARENT, INSTALLER)

    async def session_id(self) -> str:
        """Return a session of a member."""
        found = await self.owner.mini_program_login(self.app, self.js_code(), corp=self.login_corp)
        return found.session_id

    async def user_ticket(self) -> str:
        """Return the ticket of a member."""
        return (await self.owner.user_from_code(self.app, self.code(), corp=self.login_corp)).user_ticket

    async def media_id(self) -> str:
        """Return the id of a file."""
        sent = await self.owner.upload_media(self.app, "file", "a", b"content", self.corp)
        return sent.media_id

    async def auth_code(self) -> str:
        """Return the code with which the corp comes back from an install link."""
        link = await self.owner.install_url(self.app, URL)
        return self.kinds.world.console.install_by_link(link.url, PARENT).auth_code


Ask = Callable[[Caller, Scene], Awaitable[Any]]
TOKENS = token_service_pb2_grpc.TokenServiceStub
JS = js_sdk_service_pb2_grpc.JsSdkServiceStub
IDENTITY = identity_service_pb2_grpc.IdentityServiceStub
MINI = mini_program_service_pb2_grpc.MiniProgramServiceStub
SHARES = app_share_service_pb2_grpc.AppShareServiceStub
API = wecom_api_service_pb2_grpc.WecomApiServiceStub
SUITES = suite_service_pb2_grpc.SuiteServiceStub
EVENTS = event_service_pb2_grpc.EventServiceStub
ADMIN = admin_service_pb2_grpc.AdminServiceStub


async def exchange(caller: Caller, scene: Scene) -> Any:
    request = identity_pb.ExchangeAuthCodeRequest(app=scene.app, code=scene.code(), corp_id=scene.login_corp)
    return await caller.ask(IDENTITY, "ExchangeAuthCode", request)


async def profile(caller: Caller, scene: Scene) -> Any:
    request = identity_pb.GetUserProfileRequest(
        app=scene.app, user_ticket=await scene.user_ticket(), corp_id=scene.login_corp
    )
    return await caller.ask(IDENTITY, "GetUserProfile", request)


async def login(caller: Caller, scene: Scene) -> Any:
    request = mini_pb.ExchangeLoginCodeRequest(
        app=scene.app, js_code=scene.js_code(), corp_id=scene.login_corp
    )
    return await caller.ask(MINI, "ExchangeLoginCode", request)


def of_session(rpc: str, request: Any, **fields: str) -> Ask:
    async def ask(caller: Caller, scene: Scene) -> Any:
        return await caller.ask(MINI, rpc, request(session_id=await scene.session_id(), **fields))

    return ask


async def upload(caller: Caller, scene: Scene) -> Any:
    def pieces() -> Iterator[api_pb.UploadMediaRequest]:
        yield api_pb.UploadMediaRequest(target=scene.target, type="file", file_name="a", chunk=b"content")

    return await caller.ask(API, "UploadMedia", pieces())


async def download(caller: Caller, scene: Scene) -> Any:
    request = api_pb.DownloadMediaRequest(target=scene.target, media_id=await scene.media_id())
    return await caller.first(API, "DownloadMedia", request)


async def complete(caller: Caller, scene: Scene) -> Any:
    request = suite_pb.CompleteInstallationRequest(app=scene.app, auth_code=await scene.auth_code())
    return await caller.ask(SUITES, "CompleteInstallation", request)


def asking(service: Any, rpc: str, request: Callable[[Scene], Any]) -> Ask:
    return lambda caller, scene: caller.ask(service, rpc, request(scene))


def reading(service: Any, rpc: str, request: Callable[[Scene], Any]) -> Ask:
    return lambda caller, scene: caller.first(service, rpc, request(scene))


@dataclass(frozen=True)
class Rpc:
    """A sound request of an rpc, and what others than the allowed caller are answered."""

    ask: Ask
    other_corp: str = REFUSED
    """OK where a caller for another corp is answered without anything of this one."""
    allowed: str = "OK"


def sign(request: Any) -> Callable[[Scene], Any]:
    return lambda scene: request(target=scene.target, url=URL)


OF_CORPS = {
    "GetAccessToken": Rpc(
        asking(TOKENS, "GetAccessToken", lambda scene: token_pb.GetAccessTokenRequest(target=scene.target))
    ),
    "WatchAccessToken": Rpc(
        reading(
            TOKENS, "WatchAccessToken", lambda scene: token_pb.WatchAccessTokenRequest(target=scene.target)
        )
    ),
    "ReportInvalidToken": Rpc(
        asking(
            TOKENS,
            "ReportInvalidToken",
            lambda scene: token_pb.ReportInvalidTokenRequest(
                target=scene.target, generation=1, errcode=40014
            ),
        )
    ),
    "SignPage": Rpc(asking(JS, "SignPage", sign(js_pb.SignPageRequest))),
    "SignConfig": Rpc(asking(JS, "SignConfig", sign(js_pb.SignConfigRequest))),
    "SignAgentConfig": Rpc(asking(JS, "SignAgentConfig", sign(js_pb.SignAgentConfigRequest))),
    "ReportInvalidTicket": Rpc(
        asking(
            JS,
            "ReportInvalidTicket",
            lambda scene: js_pb.ReportInvalidTicketRequest(
                target=scene.target, kind=js_pb.TICKET_KIND_CORP, generation=1, errcode=40093
            ),
        )
    ),
    "BuildAuthorizeUrl": Rpc(
        asking(
            IDENTITY,
            "BuildAuthorizeUrl",
            lambda scene: identity_pb.BuildAuthorizeUrlRequest(
                app=scene.app, redirect_uri=URL, corp_id=scene.login_corp
            ),
        ),
        other_corp="OK",
    ),
    "ExchangeAuthCode": Rpc(exchange),
    "GetUserProfile": Rpc(profile),
    "ExchangeLoginCode": Rpc(login),
    "ConvertSession": Rpc(
        asking(
            MINI,
            "ConvertSession",
            lambda scene: mini_pb.ConvertSessionRequest(
                target=scene.target, user_id="x", session_key="no key of WeCom's"
            ),
        ),
        # This corp has the app itself: there is nothing to convert.
        allowed="INVALID_REQUEST",
    ),
    "DecryptData": Rpc(of_session("DecryptData", mini_pb.DecryptDataRequest), allowed="DATA_REJECTED"),
    "VerifySignature": Rpc(
        of_session("VerifySignature", mini_pb.VerifySignatureRequest, raw_data="a", signature="b")
    ),
    "GetSessionKey": Rpc(of_session("GetSessionKey", mini_pb.GetSessionKeyRequest)),
    "DeleteSession": Rpc(of_session("DeleteSession", mini_pb.DeleteSessionRequest)),
    "ListAppShares": Rpc(
        asking(
            SHARES,
            "ListAppShares",
            lambda scene: share_pb.ListAppSharesRequest(app=scene.app, parent_corp_id=scene.corp),
        )
    ),
    "WatchAppShares": Rpc(
        reading(
            SHARES,
            "WatchAppShares",
            lambda scene: share_pb.WatchAppSharesRequest(app=scene.app, parent_corp_id=scene.corp),
        )
    ),
    "SyncAppShares": Rpc(
        asking(
            SHARES,
            "SyncAppShares",
            lambda scene: share_pb.SyncAppSharesRequest(app=scene.app, parent_corp_id=scene.corp),
        )
    ),
    "CallApi": Rpc(
        asking(
            API,
            "CallApi",
            lambda scene: api_pb.CallApiRequest(
                target=scene.target, path="/cgi-bin/user/get", query={"userid": "x"}
            ),
        )
    ),
    "UploadMedia": Rpc(upload),
    "DownloadMedia": Rpc(download),
    "ListAuthorizations": Rpc(
        asking(SUITES, "ListAuthorizations", lambda scene: suite_pb.ListAuthorizationsRequest(app=scene.app)),
        other_corp="OK",
    ),
    "WatchAuthorizations": Rpc(
        reading(
            SUITES, "WatchAuthorizations", lambda scene: suite_pb.WatchAuthorizationsRequest(app=scene.app)
        ),
        other_corp="OK",
    ),
    "GetAuthorization": Rpc(
        asking(
            SUITES,
            "GetAuthorization",
            lambda scene: suite_pb.GetAuthorizationRequest(app=scene.app, corp_id=scene.corp),
        )
    ),
    "RefreshAuthorization": Rpc(
        asking(
            SUITES,
            "RefreshAuthorization",
            lambda scene: suite_pb.RefreshAuthorizationRequest(app=scene.app, corp_id=scene.corp),
        )
    ),
    "ListDeadEvents": Rpc(
        asking(
            EVENTS, "ListDeadEvents", lambda scene: event_pb.ListDeadEventsRequest(group="g", app=scene.app)
        ),
        other_corp="OK",
    ),
    "RefreshCredential": Rpc(
        asking(
            ADMIN,
            "RefreshCredential",
            lambda scene: admin_pb.RefreshCredentialRequest(target=scene.target),
        )
    ),
}
OF_MARKET = {
    "BuildInstallUrl": Rpc(
        asking(
            SUITES,
            "BuildInstallUrl",
            lambda scene: suite_pb.BuildInstallUrlRequest(app=scene.app, redirect_uri=URL),
        ),
        other_corp="OK",
    ),
    "CompleteInstallation": Rpc(complete),
}
"""A 代开发 template has no install link."""
NEEDS = {rpc.rpartition("/")[2]: action for rpc, action in ACTIONS.items()}
EVERYTHING = [action.value for action in Action]


def rule(actions: list[str], apps: list[str], corps: list[str]) -> dict[str, Any]:
    return {"apps": apps, "corps": corps, "actions": actions, "paths": ["*"]}


def caller(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "token_sha256": hashlib.sha256(f"token-of-{name}".encode()).hexdigest(),
        "allow": list(rules),
    }


@asynccontextmanager
async def served(folder: Path, *callers: dict[str, Any]) -> AsyncIterator[tuple[Kinds, Broker]]:
    """Run a broker that knows these callers, and one that may do everything."""
    owner = caller("owner", rule(EVERYTHING, ["*"], ["*"]))
    async with (
        three_kinds(folder, callers=[owner, *callers]) as kinds,
        Broker(kinds.address, token="token-of-owner") as broker,
    ):
        await installed(kinds, broker)
        yield kinds, broker


async def outcome(call: Awaitable[Any]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)[0]
    return "OK"


def dial(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture(scope="module")
def corp_ids() -> dict[str, str]:
    """Return the ids by which the provider of the simulator knows corps; they never change."""
    from tests.integration.suites.three_kinds import three_kinds_world  # noqa: PLC0415

    world = three_kinds_world()
    return {corp: world.suites.corpid(MARKET, corp) for corp in (PARENT, BY_TOKEN, BY_INSTALLATION)}


@pytest.mark.parametrize("app", [MARKET, TAILORED])
async def test_every_rpc_is_open_to_whom_a_rule_names_for_this_app_corp_and_action_alone(
    tmp_path: Path, corp_ids: dict[str, str], app: str
) -> None:
    rpcs = OF_CORPS | (OF_MARKET if app == MARKET else {})
    this, other = corp_ids[PARENT], corp_ids[OTHERS[app]]
    callers = []
    for action in {NEEDS[rpc] for rpc in rpcs}:
        rest = [each for each in EVERYTHING if each != action]
        callers += [
            caller(f"{action}-allowed", rule([action], [app], [this])),
            caller(f"{action}-other-app", rule([action], [CRM, ACME, *({MARKET, TAILORED} - {app})], ["*"])),
            caller(f"{action}-other-corp", rule([action], [app], [other])),
            caller(f"{action}-other-action", rule(rest, ["*"], ["*"])),
        ]
    async with served(tmp_path, *callers) as (kinds, owner), dial(kinds.address) as channel:
        scene = Scene(kinds, app, owner)
        found = {
            rpc: {
                who: await outcome(known.ask(Caller(channel, f"{NEEDS[rpc]}-{who}"), scene))
                for who in ("allowed", "other-app", "other-corp", "other-action", "nobody")
            }
            for rpc, known in rpcs.items()
        }

    expected = {
        rpc: {
            "allowed": known.allowed,
            "other-app": REFUSED,
            "other-corp": known.other_corp,
            "other-action": REFUSED,
            "nobody": "UNAUTHENTICATED",
        }
        for rpc, known in rpcs.items()
    }
    assert expected == found


@pytest.mark.parametrize("app", [MARKET, TAILORED])
async def test_whoever_acts_for_one_corp_sees_nothing_of_another(
    tmp_path: Path, corp_ids: dict[str, str], app: str
) -> None:
    other = corp_ids[OTHERS[app]]
    one = caller("one", rule(["suite.manage", "event.subscribe"], [app], [other]))
    async with served(tmp_path, one) as (kinds, _), dial(kinds.address) as channel:
        asker = Caller(channel, "one")
        listed = await asker.ask(SUITES, "ListAuthorizations", suite_pb.ListAuthorizationsRequest(app=app))
        watched = await asker.first(
            SUITES, "WatchAuthorizations", suite_pb.WatchAuthorizationsRequest(app=app)
        )
        for corp in (PARENT, OTHERS[app]):
            sent = await send_suite_event(kinds.world, app, EventKind.ENTER_AGENT, corp)
            assert sent.accepted
        request = event_pb.SubscribeEventsRequest(group="g", apps=[app], event_types=["enter_agent"])
        event = (await asker.first(EVENTS, "SubscribeEvents", request)).event

    assert [other] == [found.corp_id for found in listed.authorizations]
    assert [other] == [found.corp_id for found in watched.authorizations]
    assert other == event.corp_id


OWN_TOKENS = {
    MARKET: (Action.SUITE_TOKEN, ("",)),
    TAILORED: (Action.SUITE_TOKEN, ("",)),
    ACME: (Action.PROVIDER_TOKEN, ("", PROVIDER)),
}
"""Whose own tokens are handed out, under which action, and by which corp ids."""


@pytest.mark.parametrize("name", OWN_TOKENS)
async def test_a_suites_and_a_providers_own_token_are_under_actions_of_their_own(
    tmp_path: Path, corp_ids: dict[str, str], name: str
) -> None:
    action, corps = OWN_TOKENS[name]
    rest = [each for each in EVERYTHING if each != action]
    others = [other for other in (CRM, *OWN_TOKENS) if other != name]
    async with (
        served(
            tmp_path,
            caller("allowed", rule([action], [name], ["*"])),
            caller("other-app", rule([action], others, ["*"])),
            caller("other-corp", rule([action], [name], [corp_ids[PARENT]])),
            caller("other-action", rule(rest, ["*"], ["*"])),
            caller("token-get", rule(["token.get", "token.report"], [name], ["*"])),
        ) as (kinds, _),
        dial(kinds.address) as channel,
    ):
        found: dict[str, set[str]] = {}
        for who in ("allowed", "other-app", "other-corp", "other-action", "token-get"):
            asker = Caller(channel, who)
            for corp in corps:
                target = Target(app=name, corp_id=corp)
                get = token_pb.GetAccessTokenRequest(target=target)
                watch = token_pb.WatchAccessTokenRequest(target=target)
                report = token_pb.ReportInvalidTokenRequest(target=target, generation=1, errcode=40014)
                found.setdefault(who, set()).update(
                    [
                        await outcome(asker.ask(TOKENS, "GetAccessToken", get)),
                        await outcome(asker.first(TOKENS, "WatchAccessToken", watch)),
                        await outcome(asker.ask(TOKENS, "ReportInvalidToken", report)),
                    ]
                )

    refused = {key: {REFUSED} for key in ("other-app", "other-corp", "other-action", "token-get")}
    assert {"allowed": {"OK"}, **refused} == found


async def test_calls_with_the_tokens_of_suites_and_providers_need_all_corps_and_keep_paths_closed(
    tmp_path: Path, corp_ids: dict[str, str]
) -> None:
    async with (
        served(
            tmp_path,
            caller("allowed", rule(["api.call"], [MARKET, TAILORED, ACME], ["*"])),
            caller("of-a-corp", rule(["api.call"], ["*"], [corp_ids[PARENT]])),
            caller("tokens", rule(["suite.token", "provider.token"], ["*"], ["*"])),
        ) as (kinds, owner),
        dial(kinds.address) as channel,
    ):
        bodies = {
            MARKET: ("/cgi-bin/service/get_app_qrcode", b'{"suite_id": "%s"}' % SUITE_ID.encode()),
            ACME: ("/cgi-bin/service/corpid_to_opencorpid", b'{"corpid": "%s"}' % PARENT.encode()),
        }
        calls = {
            name: api_pb.CallApiRequest(
                target=Target(app=name), method=api_pb.HTTP_METHOD_POST, path=path, body=body
            )
            for name, (path, body) in bodies.items()
        }
        for who, expected in (("allowed", "OK"), ("of-a-corp", REFUSED), ("tokens", REFUSED)):
            for name, call in calls.items():
                found = await outcome(Caller(channel, who).ask(API, "CallApi", call))
                assert (who, name, expected) == (who, name, found)
        for name, call in calls.items():
            answer = await Caller(channel, "allowed").ask(API, "CallApi", call)
            assert (name, 0) == (name, answer.errcode)
            token = await owner.access_token(name)
            assert token.value.encode() not in answer.body
            # A dead token is replaced, and the caller does not notice.
            assert kinds.world.kill(token.value)
            assert 0 == (await Caller(channel, "allowed").ask(API, "CallApi", call)).errcode

        for name in (MARKET, TAILORED, ACME):
            for path in CLOSED:
                request = api_pb.CallApiRequest(target=Target(app=name), path=path, query={"mark": name})
                reason, told = await refusal_of(Caller(channel, "allowed").ask(API, "CallApi", request))
                assert (path, "INVALID_REQUEST", "path") == (path, reason, told["field"])
        assert not [call for call in kinds.world.log.records if "mark" in call.query]


CLOSED = [
    f"/cgi-bin/service/{path}"
    for path in (
        "get_suite_token",
        "get_provider_token",
        "get_corp_token",
        "get_pre_auth_code",
        "set_session_info",
        "get_permanent_code",
        "v2/get_permanent_code",
        "get_auth_info",
        "v2/get_auth_info",
        "auth/getuserinfo3rd",
        "auth/getuserdetail3rd",
        "miniprogram/jscode2session",
        "get_login_info",
        "Get_Suite_Token",
        "finish_openid_migration",
    )
]
