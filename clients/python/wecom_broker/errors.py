"""The errors of the client, grouped by who must act.

Every error has the broker's `reason`; branch on the class or on the reason, never on the text.

    BrokerError                        catch this to catch all; itself for a reason newer than this client
    ├── NotFound
    │   ├── UnknownApp                 UNKNOWN_APP
    │   ├── AppNotShared               APP_NOT_SHARED
    │   ├── CorpNotAuthorized          CORP_NOT_AUTHORIZED
    │   └── SessionNotFound            SESSION_NOT_FOUND
    ├── InvalidArgument
    │   ├── InvalidRequest             INVALID_REQUEST
    │   ├── AmbiguousTarget            AMBIGUOUS_TARGET
    │   ├── CodeRejected               CODE_REJECTED
    │   ├── DataRejected               DATA_REJECTED
    │   └── AnswerTooLarge             ANSWER_TOO_LARGE
    ├── AccessDenied
    │   ├── Unauthenticated            UNAUTHENTICATED
    │   └── CallerNotAllowed           CALLER_NOT_ALLOWED
    ├── ActionRequired                 somebody must change something at WeCom or in the configuration
    │   ├── SecretRejected             SECRET_REJECTED
    │   ├── IpNotTrusted               IP_NOT_TRUSTED
    │   ├── AppDisabled                APP_DISABLED
    │   ├── ApiNotAuthorized           API_NOT_AUTHORIZED
    │   ├── ReauthorizationRequired    REAUTHORIZATION_REQUIRED
    │   └── SuiteTicketMissing         SUITE_TICKET_MISSING
    ├── LimitReached                   wait `retry_after`
    │   ├── RateLimited                RATE_LIMITED
    │   ├── QuotaReserved              QUOTA_RESERVED
    │   └── CallerLimited              CALLER_LIMITED
    ├── Unavailable                    try again later
    │   ├── WecomUnavailable           WECOM_UNAVAILABLE
    │   ├── StoreUnavailable           STORE_UNAVAILABLE
    │   ├── BrokerUnreachable          BROKER_UNREACHABLE, said by this client
    │   └── DeadlineExceeded           DEADLINE_EXCEEDED, said by this client
    ├── WecomProtocolError             WECOM_PROTOCOL
    ├── BrokerClosed                   BROKER_CLOSED: this client was closed by its owner
    ├── WrongEventLoop                 WRONG_EVENT_LOOP: this client belongs to another event loop
    └── MadeBeforeFork                 MADE_BEFORE_FORK: this client belongs to the parent process
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


class BrokerError(Exception):
    """A call of the broker failed.

    `metadata` is for the person who must act: the refused IP, the wrong field and the like;
    `retry_after` is set where waiting helps.
    """

    def __init__(
        self,
        reason: str,
        message: str = "",
        metadata: Mapping[str, str] = MappingProxyType({}),
        retry_after: timedelta | None = None,
    ) -> None:
        """Store the parts. The metadata becomes a plain dict, so that the error can be pickled."""
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata)
        self.retry_after = retry_after
        super().__init__(reason, message, self.metadata, retry_after)

    def __str__(self) -> str:
        """Return one line for a log."""
        details = "".join(f" {name}={value}" for name, value in sorted(self.metadata.items()))
        return f"{self.reason}: {self.message}{details}"


class NotFound(BrokerError):
    """Something named in the request does not exist, as far as the broker and WeCom know."""


class UnknownApp(NotFound):
    """No app of this name is configured."""


class AppNotShared(NotFound):
    """The app is not shared with that corp, even after a new listing at WeCom."""


class CorpNotAuthorized(NotFound):
    """That corp has not authorised the suite."""


class SessionNotFound(NotFound):
    """The mini-program session has ended or never existed."""


class InvalidArgument(BrokerError):
    """The request can never work."""


class InvalidRequest(InvalidArgument):
    """A field is malformed; `metadata` names it."""


class AmbiguousTarget(InvalidArgument):
    """The target fits more than one share: name the share kind or the agent id."""


class CodeRejected(InvalidArgument):
    """The login or authorisation code has been used, or belongs to another app."""


class DataRejected(InvalidArgument):
    """The data does not fit the session key."""


class AnswerTooLarge(InvalidArgument):
    """WeCom's answer does not fit into a message: ask for less at once, page by page."""


class AccessDenied(BrokerError):
    """The broker does not serve this caller."""


class Unauthenticated(AccessDenied):
    """The broker does not know who is calling."""


class CallerNotAllowed(AccessDenied):
    """The broker knows the caller, and its configuration does not allow this."""


class ActionRequired(BrokerError):
    """WeCom refuses until somebody changes something; `metadata` says what."""


class SecretRejected(ActionRequired):
    """The app's configured secret is wrong."""


class IpNotTrusted(ActionRequired):
    """The broker's IP is not on the app's list of trusted IPs (企业可信IP)."""


class AppDisabled(ActionRequired):
    """The app is switched off in that corp."""


class ApiNotAuthorized(ActionRequired):
    """The app has no right to this API."""


class ReauthorizationRequired(ActionRequired):
    """The corp must authorise the suite anew."""


class SuiteTicketMissing(ActionRequired):
    """WeCom has not pushed a suite_ticket yet."""


class LimitReached(BrokerError):
    """A limit of WeCom is reached for now."""


class RateLimited(LimitReached):
    """WeCom refused because of its limit."""


class QuotaReserved(LimitReached):
    """The broker refuses the call before WeCom's limit is reached."""


class CallerLimited(LimitReached):
    """The broker allows this service no more at present."""


class Unavailable(BrokerError):
    """Something is down, and there is nothing valid to serve."""


class WecomUnavailable(Unavailable):
    """The broker cannot reach WeCom."""


class StoreUnavailable(Unavailable):
    """The broker cannot reach its store."""


class BrokerUnreachable(Unavailable):
    """No broker answers at the target."""


class DeadlineExceeded(Unavailable):
    """The broker did not answer in time."""


class WecomProtocolError(BrokerError):
    """WeCom's answer cannot be understood."""


class BrokerClosed(BrokerError):
    """The client object was closed before or during the call."""


class WrongEventLoop(BrokerError):
    """An asyncio client was called outside the event loop of its first use."""


class MadeBeforeFork(BrokerError):
    """The client was made in the parent process, and gRPC does not survive a fork."""


BY_REASON: Mapping[str, type[BrokerError]] = MappingProxyType(
    {
        "UNKNOWN_APP": UnknownApp,
        "APP_NOT_SHARED": AppNotShared,
        "CORP_NOT_AUTHORIZED": CorpNotAuthorized,
        "SESSION_NOT_FOUND": SessionNotFound,
        "INVALID_REQUEST": InvalidRequest,
        "AMBIGUOUS_TARGET": AmbiguousTarget,
        "CODE_REJECTED": CodeRejected,
        "DATA_REJECTED": DataRejected,
        "ANSWER_TOO_LARGE": AnswerTooLarge,
        "UNAUTHENTICATED": Unauthenticated,
        "CALLER_NOT_ALLOWED": CallerNotAllowed,
        "SECRET_REJECTED": SecretRejected,
        "IP_NOT_TRUSTED": IpNotTrusted,
        "APP_DISABLED": AppDisabled,
        "API_NOT_AUTHORIZED": ApiNotAuthorized,
        "REAUTHORIZATION_REQUIRED": ReauthorizationRequired,
        "SUITE_TICKET_MISSING": SuiteTicketMissing,
        "RATE_LIMITED": RateLimited,
        "QUOTA_RESERVED": QuotaReserved,
        "CALLER_LIMITED": CallerLimited,
        "WECOM_UNAVAILABLE": WecomUnavailable,
        "STORE_UNAVAILABLE": StoreUnavailable,
        "BROKER_UNREACHABLE": BrokerUnreachable,
        "DEADLINE_EXCEEDED": DeadlineExceeded,
        "WECOM_PROTOCOL": WecomProtocolError,
        "BROKER_CLOSED": BrokerClosed,
        "WRONG_EVENT_LOOP": WrongEventLoop,
        "MADE_BEFORE_FORK": MadeBeforeFork,
    },
)
