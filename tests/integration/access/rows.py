"""The rows of the matrix: of each rpc, a sound request, whom a rule must name for it, and what others see."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wecom_broker.v1 import admin_service_pb2 as admin
from wecom_broker.v1 import app_share_service_pb2 as shares
from wecom_broker.v1 import callback_service_pb2 as callbacks
from wecom_broker.v1 import event_service_pb2 as events
from wecom_broker.v1 import identity_service_pb2 as identity
from wecom_broker.v1 import js_sdk_service_pb2 as js
from wecom_broker.v1 import mini_program_service_pb2 as mini
from wecom_broker.v1 import suite_service_pb2 as suites
from wecom_broker.v1 import token_service_pb2 as tokens
from wecom_broker.v1 import wecom_api_service_pb2 as api
from wecom_broker.v1.target_pb2 import Target

from broker.domain.access import Action
from broker.simulator.provider_demo import PROVIDER
from tests.integration.access.facts import (
    CLIENT_ID,
    OTHER_CHILD,
    OTHER_CLIENT_ID,
    OWN,
    OWN_MEMBER,
    RAW_DATA,
    URL,
    Facts,
)
from tests.integration.suites.three_kinds import ACME, CRM, MARKET, OWNED
from tests.kit.actions import ACTIONS

Build = Callable[[Facts], Awaitable[Message]]
Key = tuple[str, Action]
"""An rpc by the name under which it is called, and the action that a caller needs."""


@dataclass(frozen=True)
class Row:
    """A request, and who may have it answered: `app` and `corp` are what a rule must cover, no more."""

    build: Build
    app: str = CRM
    corp: str = OWNED
    other_corp: str = OTHER_CHILD
    path: str = ""
    spends: bool = False
    """WeCom is asked before the right is decided: only its answer names the corp. A code is spent by that."""
    blind_to_app: Callable[[Any], bool] | None = None
    """Where who has the right for another app is answered too: whether that shows nothing of this app."""
    blind_to_corp: Callable[[Any], bool] | None = None
    """Where who has the right for another corp is answered too: whether that shows nothing of this corp."""


def _of_child(request: Callable[..., Message], **fields: Any) -> Row:
    return Row(_made(request, target=Target(app=CRM, corp_id=OWNED), **fields))


def _of_app(request: Callable[..., Message], **fields: Any) -> Row:
    return Row(_made(request, app=CRM, **fields), corp=OWN)


def _of_all_apps(request: Callable[..., Message]) -> Row:
    return Row(_made(request), app="*", corp="*")


def _of_session(request: Callable[..., Message]) -> Row:
    async def build(facts: Facts) -> Message:
        return request(session_id=await facts.session_id())

    return Row(build)


def _made(request: Callable[..., Message], **fields: Any) -> Build:
    async def build(_: Facts) -> Message:
        return request(**fields)

    return build


def _reporting(app: str, corp_id: str = "") -> Build:
    async def build(facts: Facts) -> Message:
        generation = await facts.generation(app, corp_id)
        target = Target(app=app, corp_id=corp_id)
        return tokens.ReportInvalidTokenRequest(target=target, generation=generation, errcode=40014)

    return build


async def _reported_ticket(facts: Facts) -> Message:
    return js.ReportInvalidTicketRequest(
        target=Target(app=CRM, corp_id=OWNED),
        kind=js.TICKET_KIND_CORP,
        generation=await facts.ticket_generation(),
        errcode=40093,
    )


async def _login(facts: Facts) -> Message:
    return identity.ExchangeAuthCodeRequest(app=CRM, code=facts.code())


async def _profile(facts: Facts) -> Message:
    return identity.GetUserProfileRequest(app=CRM, user_ticket=await facts.user_ticket())


async def _mini_login(facts: Facts) -> Message:
    return mini.ExchangeLoginCodeRequest(app=CRM, js_code=facts.js_code())


async def _converted(facts: Facts) -> Message:
    user_id, session_key = await facts.parents_session()
    target = Target(app=CRM, corp_id=OWNED)
    return mini.ConvertSessionRequest(target=target, user_id=user_id, session_key=session_key)


async def _decrypted(facts: Facts) -> Message:
    session_id = await facts.session_id()
    data, iv = facts.encrypted()
    return mini.DecryptDataRequest(session_id=session_id, encrypted_data=data, iv=iv)


async def _verified(facts: Facts) -> Message:
    session_id = await facts.session_id()
    return mini.VerifySignatureRequest(session_id=session_id, raw_data=RAW_DATA, signature=facts.signature())


async def _url_verified(facts: Facts) -> Message:
    return callbacks.VerifyUrlRequest(app=CRM, **facts.verification())


async def _opened(facts: Facts) -> Message:
    return callbacks.OpenEnvelopeRequest(app=CRM, **facts.envelope())


async def _download(facts: Facts) -> Message:
    return api.DownloadMediaRequest(target=Target(app=CRM, corp_id=OWNED), media_id=facts.media_id)


async def _installed(facts: Facts) -> Message:
    return suites.CompleteInstallationRequest(app=MARKET, auth_code=await facts.auth_code())


def _own_token(request: Callable[..., Message], app: str) -> Build:
    return _made(request, target=Target(app=app))


def _of_suite(build: Build, **others: Any) -> Row:
    return Row(build, app=MARKET, corp=CLIENT_ID, other_corp=OTHER_CLIENT_ID, **others)


_PAST = Timestamp(seconds=1)
_REPLY = "<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content></xml>"
_IDS = {"group": "g", "event_ids": [f"{CRM}:1-1"]}

_ROWS: Mapping[str, Row] = {
    "TokenService/GetAccessToken": _of_child(tokens.GetAccessTokenRequest),
    "TokenService/WatchAccessToken": _of_child(tokens.WatchAccessTokenRequest),
    "TokenService/ReportInvalidToken": Row(_reporting(CRM, OWNED)),
    "AppShareService/ListAppShares": _of_app(shares.ListAppSharesRequest),
    "AppShareService/WatchAppShares": _of_app(shares.WatchAppSharesRequest),
    "AppShareService/SyncAppShares": _of_app(shares.SyncAppSharesRequest),
    "AdminService/ListApps": _of_all_apps(admin.ListAppsRequest),
    "AdminService/ListCredentials": _of_app(admin.ListCredentialsRequest),
    "AdminService/ListRefusals": _of_app(admin.ListRefusalsRequest),
    "AdminService/RetryRefused": _of_app(admin.RetryRefusedRequest),
    "AdminService/GetQuotas": _of_app(admin.GetQuotasRequest),
    "AdminService/GetStatus": _of_all_apps(admin.GetStatusRequest),
    "AdminService/ListReplicas": _of_all_apps(admin.ListReplicasRequest),
    "AdminService/ListEventGroups": _of_app(admin.ListEventGroupsRequest),
    "AdminService/DeleteEventGroup": _of_app(admin.DeleteEventGroupRequest, group="nobody/none"),
    "AdminService/SetLogLevel": Row(
        _made(admin.SetLogLevelRequest, level=admin.LOG_LEVEL_INFO), app="*", corp="*"
    ),
    "AdminService/RefreshCredential": _of_child(admin.RefreshCredentialRequest),
    "JsSdkService/SignPage": _of_child(js.SignPageRequest, url=URL),
    "JsSdkService/SignConfig": _of_child(js.SignConfigRequest, url=URL),
    "JsSdkService/SignAgentConfig": _of_child(js.SignAgentConfigRequest, url=URL),
    "JsSdkService/ReportInvalidTicket": Row(_reported_ticket),
    # The link is the same for the visitors of every corp.
    "IdentityService/BuildAuthorizeUrl": Row(
        _made(identity.BuildAuthorizeUrlRequest, app=CRM, redirect_uri=URL),
        blind_to_corp=lambda answer: OWNED not in answer.url,
    ),
    "IdentityService/ExchangeAuthCode": Row(_login, spends=True),
    "IdentityService/GetUserProfile": Row(_profile, corp=OWN),
    "MiniProgramService/ExchangeLoginCode": Row(_mini_login, spends=True),
    "MiniProgramService/ConvertSession": Row(_converted),
    "MiniProgramService/DecryptData": Row(_decrypted),
    "MiniProgramService/VerifySignature": Row(_verified),
    "MiniProgramService/GetSessionKey": _of_session(mini.GetSessionKeyRequest),
    "MiniProgramService/DeleteSession": _of_session(mini.DeleteSessionRequest),
    # An observer from the beginning: the first event is the child's, the second one another child's.
    "EventService/SubscribeEvents": Row(
        _made(events.SubscribeEventsRequest, apps=[CRM], replay_from_time=_PAST),
        blind_to_corp=lambda answer: answer.event.corp_id == OTHER_CHILD,
    ),
    # A group is its caller's own: whichever events the ids name, those of others are not reached.
    "EventService/AcknowledgeEvents": Row(
        _made(events.AcknowledgeEventsRequest, **_IDS),
        blind_to_app=lambda answer: answer.acknowledged_count == 0,
        blind_to_corp=lambda answer: answer.acknowledged_count == 0,
    ),
    "EventService/ListDeadEvents": Row(
        _made(events.ListDeadEventsRequest, group="g", app=CRM),
        blind_to_corp=lambda answer: not answer.events,
    ),
    "EventService/RetryDeadEvents": Row(
        _made(events.RetryDeadEventsRequest, **_IDS),
        blind_to_app=lambda answer: answer.retried_count == 0,
        blind_to_corp=lambda answer: answer.retried_count == 0,
    ),
    "CallbackService/VerifyUrl": Row(_url_verified, corp=OWN),
    "CallbackService/OpenEnvelope": Row(_opened),
    "CallbackService/SealReply": Row(
        _made(callbacks.SealReplyRequest, app=CRM, corp_id=OWNED, message=_REPLY)
    ),
    "WecomApiService/CallApi": Row(
        _made(
            api.CallApiRequest,
            target=Target(app=CRM),
            path="/cgi-bin/user/get",
            query={"userid": OWN_MEMBER},
        ),
        corp=OWN,
        path="/cgi-bin/user/get",
    ),
    "WecomApiService/UploadMedia": Row(
        _made(
            api.UploadMediaRequest,
            target=Target(app=CRM, corp_id=OWNED),
            type="file",
            file_name="a",
            chunk=b"content",
        ),
        path="/cgi-bin/media/upload",
    ),
    "WecomApiService/DownloadMedia": Row(_download, path="/cgi-bin/media/get"),
    # Nobody knows yet which corp will follow the link.
    "SuiteService/BuildInstallUrl": _of_suite(
        _made(suites.BuildInstallUrlRequest, app=MARKET, redirect_uri=URL),
        blind_to_corp=lambda answer: CLIENT_ID not in answer.url,
    ),
    "SuiteService/CompleteInstallation": _of_suite(_installed, spends=True),
    "SuiteService/ListAuthorizations": _of_suite(
        _made(suites.ListAuthorizationsRequest, app=MARKET),
        blind_to_corp=lambda answer: [OTHER_CLIENT_ID] == [found.corp_id for found in answer.authorizations],
    ),
    "SuiteService/GetAuthorization": _of_suite(
        _made(suites.GetAuthorizationRequest, app=MARKET, corp_id=CLIENT_ID)
    ),
    "SuiteService/RefreshAuthorization": _of_suite(
        _made(suites.RefreshAuthorizationRequest, app=MARKET, corp_id=CLIENT_ID)
    ),
    "SuiteService/WatchAuthorizations": _of_suite(
        _made(suites.WatchAuthorizationsRequest, app=MARKET),
        blind_to_corp=lambda answer: [OTHER_CLIENT_ID] == [found.corp_id for found in answer.authorizations],
    ),
}
_OWN_TOKENS: Mapping[tuple[str, Action], Row] = {
    # A suite is in no corp: only `*` covers it.
    (rpc, action): Row(build(app), app=app, corp=corp, other_corp=other)
    for action, app, corp, other in (
        (Action.SUITE_TOKEN, MARKET, "*", CLIENT_ID),
        (Action.PROVIDER_TOKEN, ACME, PROVIDER, CLIENT_ID),
    )
    for rpc, build in (
        ("TokenService/GetAccessToken", lambda app: _own_token(tokens.GetAccessTokenRequest, app)),
        ("TokenService/WatchAccessToken", lambda app: _own_token(tokens.WatchAccessTokenRequest, app)),
        ("TokenService/ReportInvalidToken", _reporting),
    )
}
"""The token of a suite or of a provider itself."""


def _named(rpc: str) -> str:
    return f"/wecom_broker.v1.{rpc}"


ROWS: Mapping[Key, Row] = {
    **{(_named(rpc), ACTIONS[_named(rpc)]): row for rpc, row in _ROWS.items()},
    **{(_named(rpc), action): row for (rpc, action), row in _OWN_TOKENS.items()},
}
