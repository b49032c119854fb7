"""The rpcs of the API, and the permission that each needs, as the API documents it."""

import importlib
import pkgutil
from collections.abc import Mapping

import wecom_broker.v1
from google.protobuf.descriptor import MethodDescriptor

from broker.domain.access import Action

ACTIONS: Mapping[str, Action] = {
    "/wecom_broker.v1.TokenService/GetAccessToken": Action.TOKEN_GET,
    "/wecom_broker.v1.TokenService/WatchAccessToken": Action.TOKEN_GET,
    "/wecom_broker.v1.TokenService/ReportInvalidToken": Action.TOKEN_REPORT,
    "/wecom_broker.v1.AppShareService/ListAppShares": Action.SHARE_READ,
    "/wecom_broker.v1.AppShareService/WatchAppShares": Action.SHARE_READ,
    "/wecom_broker.v1.AppShareService/SyncAppShares": Action.SHARE_SYNC,
    "/wecom_broker.v1.AdminService/ListApps": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/ListCredentials": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/ListRefusals": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/RetryRefused": Action.ADMIN_REFRESH,
    "/wecom_broker.v1.AdminService/GetQuotas": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/GetStatus": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/ListReplicas": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/ListEventGroups": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/DeleteEventGroup": Action.ADMIN_REFRESH,
    "/wecom_broker.v1.AdminService/SetLogLevel": Action.ADMIN_REFRESH,
    "/wecom_broker.v1.AdminService/RefreshCredential": Action.ADMIN_REFRESH,
    "/wecom_broker.v1.JsSdkService/SignPage": Action.JSSDK_SIGN,
    "/wecom_broker.v1.JsSdkService/SignConfig": Action.JSSDK_SIGN,
    "/wecom_broker.v1.JsSdkService/SignAgentConfig": Action.JSSDK_SIGN,
    "/wecom_broker.v1.JsSdkService/ReportInvalidTicket": Action.JSSDK_REPORT,
    "/wecom_broker.v1.IdentityService/BuildAuthorizeUrl": Action.IDENTITY_EXCHANGE,
    "/wecom_broker.v1.IdentityService/ExchangeAuthCode": Action.IDENTITY_EXCHANGE,
    "/wecom_broker.v1.IdentityService/GetUserProfile": Action.IDENTITY_EXCHANGE,
    "/wecom_broker.v1.MiniProgramService/ExchangeLoginCode": Action.MINIPROGRAM_SESSION,
    "/wecom_broker.v1.MiniProgramService/ConvertSession": Action.MINIPROGRAM_SESSION,
    "/wecom_broker.v1.MiniProgramService/DecryptData": Action.MINIPROGRAM_SESSION,
    "/wecom_broker.v1.MiniProgramService/VerifySignature": Action.MINIPROGRAM_SESSION,
    "/wecom_broker.v1.MiniProgramService/GetSessionKey": Action.MINIPROGRAM_SESSION_KEY,
    "/wecom_broker.v1.MiniProgramService/DeleteSession": Action.MINIPROGRAM_SESSION,
    "/wecom_broker.v1.EventService/SubscribeEvents": Action.EVENT_SUBSCRIBE,
    "/wecom_broker.v1.EventService/AcknowledgeEvents": Action.EVENT_SUBSCRIBE,
    "/wecom_broker.v1.EventService/ListDeadEvents": Action.EVENT_SUBSCRIBE,
    "/wecom_broker.v1.EventService/RetryDeadEvents": Action.EVENT_SUBSCRIBE,
    "/wecom_broker.v1.CallbackService/VerifyUrl": Action.CALLBACK_OPEN,
    "/wecom_broker.v1.CallbackService/OpenEnvelope": Action.CALLBACK_OPEN,
    "/wecom_broker.v1.CallbackService/SealReply": Action.CALLBACK_OPEN,
    "/wecom_broker.v1.WecomApiService/CallApi": Action.API_CALL,
    "/wecom_broker.v1.WecomApiService/UploadMedia": Action.API_CALL,
    "/wecom_broker.v1.WecomApiService/DownloadMedia": Action.API_CALL,
    "/wecom_broker.v1.SuiteService/BuildInstallUrl": Action.SUITE_MANAGE,
    "/wecom_broker.v1.SuiteService/CompleteInstallation": Action.SUITE_MANAGE,
    "/wecom_broker.v1.SuiteService/ListAuthorizations": Action.SUITE_MANAGE,
    "/wecom_broker.v1.SuiteService/GetAuthorization": Action.SUITE_MANAGE,
    "/wecom_broker.v1.SuiteService/RefreshAuthorization": Action.SUITE_MANAGE,
    "/wecom_broker.v1.SuiteService/WatchAuthorizations": Action.SUITE_MANAGE,
}


def rpcs() -> dict[str, MethodDescriptor]:
    """Return the rpcs of all services, by the names under which they are called."""
    modules = [importlib.import_module(f"wecom_broker.v1.{found.name}") for found in stub_modules()]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return {f"/{service.full_name}/{rpc.name}": rpc for service in services for rpc in service.methods}


def stub_modules() -> list[pkgutil.ModuleInfo]:
    """Return the modules that describe messages and services."""
    return [found for found in pkgutil.iter_modules(wecom_broker.v1.__path__) if found.name.endswith("_pb2")]
