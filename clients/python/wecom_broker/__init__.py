"""Client of wecom-broker: WeCom (企业微信) access tokens, kept in memory and pushed by the broker.

    async with Broker("dns:///wecom-broker:50051") as broker:
        token = await broker.access_token("crm", corp="ww…")

`wecom_broker.sync` has the same for threads, `wecom_broker.errors` shows the tree of errors, and
`wecom_broker.v1` has the generated stubs of the whole API.
"""

from wecom_broker import errors
from wecom_broker._broker import Broker
from wecom_broker._connection.tls import Tls
from wecom_broker._events.event import Event
from wecom_broker._events.event_stream import EventStream
from wecom_broker._services.app_shares import AppShare, AppShareChange, AppShareSync, ShareChangeType
from wecom_broker._services.authorization import (
    AuthMode,
    Authorization,
    AuthorizationState,
    AuthorizedAgent,
    Edition,
    Permission,
    SharedFrom,
)
from wecom_broker._services.identity import AuthorizeUrl, OauthScope, User, UserKind, UserProfile
from wecom_broker._services.js_sdk import (
    AgentConfigSignature,
    ConfigSignature,
    PageSignature,
    ReportOutcome,
    Signature,
)
from wecom_broker._services.media import MediaDownload, MediaHead, MediaUpload
from wecom_broker._services.mini_programs import Session
from wecom_broker._services.suites import AuthorizationChange, InstallUrl
from wecom_broker._services.wecom_api import ApiAnswer, HttpMethod
from wecom_broker._target import ShareKind, Target
from wecom_broker._tokens.access_token import AccessToken
from wecom_broker.errors import BrokerError

__all__ = [
    "AccessToken",
    "AgentConfigSignature",
    "ApiAnswer",
    "AppShare",
    "AppShareChange",
    "AppShareSync",
    "AuthMode",
    "Authorization",
    "AuthorizationChange",
    "AuthorizationState",
    "AuthorizeUrl",
    "AuthorizedAgent",
    "Broker",
    "BrokerError",
    "ConfigSignature",
    "Edition",
    "Event",
    "EventStream",
    "HttpMethod",
    "InstallUrl",
    "MediaDownload",
    "MediaHead",
    "MediaUpload",
    "OauthScope",
    "PageSignature",
    "Permission",
    "ReportOutcome",
    "Session",
    "ShareChangeType",
    "ShareKind",
    "SharedFrom",
    "Signature",
    "Target",
    "Tls",
    "User",
    "UserKind",
    "UserProfile",
    "errors",
]
