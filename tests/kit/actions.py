"""The permission that each rpc needs, as the API documents it."""

from collections.abc import Mapping

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
    "/wecom_broker.v1.AdminService/GetQuotas": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/GetStatus": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/RefreshCredential": Action.ADMIN_REFRESH,
    "/wecom_broker.v1.JsSdkService/SignPage": Action.JSSDK_SIGN,
    "/wecom_broker.v1.JsSdkService/SignConfig": Action.JSSDK_SIGN,
    "/wecom_broker.v1.JsSdkService/SignAgentConfig": Action.JSSDK_SIGN,
    "/wecom_broker.v1.JsSdkService/ReportInvalidTicket": Action.JSSDK_SIGN,
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
}
