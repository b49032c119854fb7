"""Which calls gRPC may repeat."""

import json

# What may be sent twice. Reports are among them because the broker compares the generation first.
#
# What is not here reaches the broker's code at most once: calls that consume a code (ExchangeAuthCode,
# ExchangeLoginCode) or may (GetUserProfile), that make or end something (ConvertSession, DeleteSession), that
# return how many they changed (RetryDeadEvents), or do what only WeCom knows (CallApi, UploadMedia). gRPC
# itself still repeats a call, "transparently", but only one that never left this machine, or, once, one that
# a leaving server's GOAWAY says it never took: no code of the broker has seen it. A connection that breaks
# after a call was sent is an error (all this is tested). So codes are safe without `grpc.enable_retries=0`,
# which would end the retries of the whole channel.
IDEMPOTENT = {
    "wecom_broker.v1.TokenService": ("GetAccessToken", "WatchAccessToken", "ReportInvalidToken"),
    "wecom_broker.v1.AppShareService": ("ListAppShares", "WatchAppShares"),
    "wecom_broker.v1.JsSdkService": ("SignPage", "SignConfig", "SignAgentConfig", "ReportInvalidTicket"),
    "wecom_broker.v1.IdentityService": ("BuildAuthorizeUrl",),
    "wecom_broker.v1.MiniProgramService": ("DecryptData", "VerifySignature", "GetSessionKey"),
    "wecom_broker.v1.WecomApiService": ("DownloadMedia",),
    "wecom_broker.v1.EventService": ("SubscribeEvents", "AcknowledgeEvents", "ListDeadEvents"),
    "wecom_broker.v1.CallbackService": ("VerifyUrl", "OpenEnvelope", "SealReply"),
}

_RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    # CANCELLED is what a broker that has just begun to stop answers to a call that was on its way.
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
"""For `grpc.service_config`."""
