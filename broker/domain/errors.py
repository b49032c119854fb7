"""All errors of the broker, by who must act.

    BrokerError
    ├── CallerMistake               the caller: send something else
    │   ├── FieldMistake            a field is wrong; it is named
    │   │   ├── InvalidRequest      it is malformed
    │   │   └── AmbiguousTarget     it is needed to choose a share
    │   ├── CodeRejected            a spent or foreign login code
    │   ├── DataRejected            data that does not match its session
    │   │   └── EnvelopeRejected    a callback that is not WeCom's, or not for this app
    │   ├── UnknownApp              no such app in the configuration
    │   ├── AnswerTooLarge          an answer that does not fit in a message: ask for less
    │   ├── AppNotShared            WeCom does not share the app with that child
    │   ├── CorpNotAuthorized       that corp has not authorised the suite
    │   └── SessionNotFound         no such session, or it has ended
    ├── AccessRefused               the operator: decide who may do what
    │   ├── Unauthenticated
    │   └── CallerNotAllowed
    ├── WecomRefused                an administrator: change something at WeCom
    │   ├── SecretRejected
    │   ├── IpNotTrusted
    │   ├── AppDisabled
    │   ├── ApiNotAuthorized
    │   ├── ReauthorizationRequired
    │   └── SuiteTicketMissing
    ├── RetryLater                  nobody: wait `retry_after`
    │   ├── RateLimited             WeCom's limit was hit
    │   ├── QuotaReserved           WeCom's limit is near, and the rest is kept
    │   ├── CallerLimited           this caller asks too often
    │   ├── WecomUnavailable        WeCom is slow, busy or unreachable
    │   └── StoreUnavailable        the shared store is unavailable
    ├── WecomProtocol               the maintainers: an answer that cannot be understood
    └── TokenRejected               internal: the dead token is replaced, and the call repeated

`metadata` goes to the caller: names, codes and addresses, never a secret.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Self

KINDS: dict[str, type["BrokerError"]] = {}
"""The error classes by reason; where subclasses share a reason, the base class."""


class BrokerError(Exception):
    """Carry what a caller may know: a message, and metadata by name."""

    reason: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "reason"):
            KINDS.setdefault(cls.reason, cls)

    def __init__(self, message: str, /, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = {name: str(value) for name, value in metadata.items() if value not in (None, "")}
        self.retry_after: timedelta | None = None
        self.remembered_as = ""
        """The scope under which it is remembered (engine rule 7); empty = it is not."""
        self.kept_until: datetime | None = None
        """Until when it is remembered, if it comes from memory: WeCom was not asked for it."""
        self.code_unread = False
        """Whether WeCom certainly did not read the one-time code of the failed call, which may be sent again.

        False = WeCom read it, or nobody knows. Only the adapter to WeCom and `spend_code` decide it.
        """

    @property
    def remembered(self) -> bool:
        """Return whether it is remembered already, so that no outer caller has to remember it."""
        return bool(self.remembered_as)

    @classmethod
    def restored(cls, message: str, metadata: Mapping[str, str]) -> Self:
        """Make an error of this kind from the message and metadata that were kept of another one."""
        return cls(message, **metadata)


class CallerMistake(BrokerError):
    """The caller must send something else."""


class FieldMistake(CallerMistake):
    """A field must be changed; `field` in the metadata names it."""

    def __init__(self, field: str, problem: str, /, **metadata: object) -> None:
        super().__init__(f"{field}: {problem}", **{"field": field, **metadata})

    @classmethod
    def restored(cls, message: str, metadata: Mapping[str, str]) -> Self:
        """See `BrokerError.restored`."""
        field, _, problem = message.partition(": ")
        return cls(field, problem, **metadata)


class InvalidRequest(FieldMistake):
    """The field is malformed."""

    reason = "INVALID_REQUEST"


class AmbiguousTarget(FieldMistake):
    """More than one share matches, and the field would choose one."""

    reason = "AMBIGUOUS_TARGET"


class CodeRejected(CallerMistake):
    """A login or authorisation code is spent, too old, or another app's."""

    reason = "CODE_REJECTED"


class DataRejected(CallerMistake):
    """Data does not match the session that it is said to come from."""

    reason = "DATA_REJECTED"


class EnvelopeRejected(DataRejected):
    """A callback is not WeCom's, or not for this app; `problem` says what is wrong with it."""

    def __init__(self, problem: str, message: str, **metadata: object) -> None:
        super().__init__(message, problem=problem, **metadata)
        self.problem = problem


class AnswerTooLarge(CallerMistake):
    """WeCom's answer to a caller's call is larger than a gRPC message can carry."""

    reason = "ANSWER_TOO_LARGE"


class UnknownApp(CallerMistake):
    """No app of that name is configured."""

    reason = "UNKNOWN_APP"


class AppNotShared(CallerMistake):
    """WeCom does not share the app with that child corp."""

    reason = "APP_NOT_SHARED"


class CorpNotAuthorized(CallerMistake):
    """The corp has not authorised the suite, or has cancelled."""

    reason = "CORP_NOT_AUTHORIZED"


class SessionNotFound(CallerMistake):
    """No session has that id, or it has expired."""

    reason = "SESSION_NOT_FOUND"


class AccessRefused(BrokerError):
    """The operator decides who may call."""


class Unauthenticated(AccessRefused):
    """The caller did not prove who it is."""

    reason = "UNAUTHENTICATED"


class CallerNotAllowed(AccessRefused):
    """The caller is known but may not do this."""

    reason = "CALLER_NOT_ALLOWED"


class WecomRefused(BrokerError):
    """Somebody must change something at WeCom or in the configuration; retrying does not help."""


class SecretRejected(WecomRefused):
    """WeCom refuses the app's secret or its corp id."""

    reason = "SECRET_REJECTED"


class IpNotTrusted(WecomRefused):
    """The address that WeCom sees is not on the app's 企业可信IP list."""

    reason = "IP_NOT_TRUSTED"


class AppDisabled(WecomRefused):
    """The app or its corp is disabled."""

    reason = "APP_DISABLED"


class ApiNotAuthorized(WecomRefused):
    """The app has no permission for the interface."""

    reason = "API_NOT_AUTHORIZED"


class ReauthorizationRequired(WecomRefused):
    """The corp's authorisation ended."""

    reason = "REAUTHORIZATION_REQUIRED"


class SuiteTicketMissing(WecomRefused):
    """No valid suite_ticket has arrived."""

    reason = "SUITE_TICKET_MISSING"


class RetryLater(BrokerError):
    """Waiting for `retry_after` helps."""

    def __init__(self, message: str, /, retry_after: timedelta | None = None, **metadata: object) -> None:
        super().__init__(message, **metadata)
        self.retry_after = retry_after


class RateLimited(RetryLater):
    """WeCom refuses an endpoint until the window of a limit ends."""

    reason = "RATE_LIMITED"


class QuotaReserved(RetryLater):
    """The rest of an hourly limit is reserved, or used up: the broker refuses before WeCom would."""

    reason = "QUOTA_RESERVED"


class CallerLimited(RetryLater):
    """The caller asks for more than its limits allow."""

    reason = "CALLER_LIMITED"


class WecomUnavailable(RetryLater):
    """WeCom is slow, busy or unreachable, and nothing valid is left to serve."""

    reason = "WECOM_UNAVAILABLE"


class StoreUnavailable(RetryLater):
    """The shared store is unavailable."""

    reason = "STORE_UNAVAILABLE"


class WecomProtocol(BrokerError):
    """An answer of WeCom cannot be understood."""

    reason = "WECOM_PROTOCOL"


class TokenRejected(BrokerError):
    """WeCom answered that the token of a call is dead (40014, 42001): replace it once, then give up.

    Internal: code that calls WeCom with a token turns it into `WecomUnavailable`; no caller sees it.
    """

    reason = "TOKEN_REJECTED"
