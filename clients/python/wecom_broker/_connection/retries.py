"""Which calls gRPC may repeat."""

import json

# Methods that may be sent twice. Reports may, because the broker compares the generation first.
#
# All others reach the broker's code at most once: calls that consume a code (ExchangeAuthCode,
# ExchangeLoginCode, CompleteInstallation) or may (GetUserProfile), create or end something (ConvertSession,
# DeleteSession), return how many they changed (RetryDeadEvents), or do what only WeCom knows (CallApi,
# UploadMedia). gRPC itself still repeats a call "transparently", but only one that never left this machine
# or, once, one that a stopping server's GOAWAY reports as not processed: the broker has not seen it. A
# connection that breaks after a call was sent is an error (tests cover all this). So codes are safe without
# `grpc.enable_retries=0`, which would disable the retries of the whole channel.
IDEMPOTENT = {
    "wecom_broker.v1.TokenService": ("GetAccessToken", "WatchAccessToken", "ReportInvalidToken"),
    "wecom_broker.v1.AppShareService": ("ListAppShares", "WatchAppShares"),
    "wecom_broker.v1.JsSdkService": ("SignPage", "SignConfig", "SignAgentConfig", "ReportInvalidTicket"),
    "wecom_broker.v1.IdentityService": ("BuildAuthorizeUrl",),
    "wecom_broker.v1.MiniProgramService": ("DecryptData", "VerifySignature", "GetSessionKey"),
    "wecom_broker.v1.WecomApiService": ("DownloadMedia",),
    "wecom_broker.v1.SuiteService": (
        "BuildInstallUrl",
        "ListAuthorizations",
        "GetAuthorization",
        "WatchAuthorizations",
    ),
    "wecom_broker.v1.EventService": ("SubscribeEvents", "AcknowledgeEvents", "ListDeadEvents"),
    "wecom_broker.v1.CallbackService": ("VerifyUrl", "OpenEnvelope", "SealReply"),
}

_RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    # A broker that has just begun to stop answers CANCELLED to a call that is still arriving.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in IDEMPOTENT.items()
                for method in methods
            ],
            "retryPolicy": _RETRY_POLICY,
        },
    ],
}

SERVICE_CONFIG = json.dumps(_CONFIG)
"""The value of `grpc.service_config`."""
