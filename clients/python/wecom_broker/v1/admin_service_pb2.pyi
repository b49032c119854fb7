import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wecom_broker.v1 import target_pb2 as _target_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CredentialKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDENTIAL_KIND_UNSPECIFIED: _ClassVar[CredentialKind]
    CREDENTIAL_KIND_ACCESS_TOKEN: _ClassVar[CredentialKind]
    CREDENTIAL_KIND_CORP_TICKET: _ClassVar[CredentialKind]
    CREDENTIAL_KIND_AGENT_TICKET: _ClassVar[CredentialKind]
    CREDENTIAL_KIND_SUITE_TOKEN: _ClassVar[CredentialKind]
    CREDENTIAL_KIND_PROVIDER_TOKEN: _ClassVar[CredentialKind]

class CredentialState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDENTIAL_STATE_UNSPECIFIED: _ClassVar[CredentialState]
    CREDENTIAL_STATE_FRESH: _ClassVar[CredentialState]
    CREDENTIAL_STATE_AGEING: _ClassVar[CredentialState]
    CREDENTIAL_STATE_NEARLY_GONE: _ClassVar[CredentialState]
    CREDENTIAL_STATE_EXPIRED: _ClassVar[CredentialState]
    CREDENTIAL_STATE_MISSING: _ClassVar[CredentialState]

class ReloadOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELOAD_OUTCOME_UNSPECIFIED: _ClassVar[ReloadOutcome]
    RELOAD_OUTCOME_APPLIED: _ClassVar[ReloadOutcome]
    RELOAD_OUTCOME_REFUSED: _ClassVar[ReloadOutcome]

class LogLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_LEVEL_UNSPECIFIED: _ClassVar[LogLevel]
    LOG_LEVEL_DEBUG: _ClassVar[LogLevel]
    LOG_LEVEL_INFO: _ClassVar[LogLevel]
    LOG_LEVEL_WARNING: _ClassVar[LogLevel]
    LOG_LEVEL_ERROR: _ClassVar[LogLevel]
CREDENTIAL_KIND_UNSPECIFIED: CredentialKind
CREDENTIAL_KIND_ACCESS_TOKEN: CredentialKind
CREDENTIAL_KIND_CORP_TICKET: CredentialKind
CREDENTIAL_KIND_AGENT_TICKET: CredentialKind
CREDENTIAL_KIND_SUITE_TOKEN: CredentialKind
CREDENTIAL_KIND_PROVIDER_TOKEN: CredentialKind
CREDENTIAL_STATE_UNSPECIFIED: CredentialState
CREDENTIAL_STATE_FRESH: CredentialState
CREDENTIAL_STATE_AGEING: CredentialState
CREDENTIAL_STATE_NEARLY_GONE: CredentialState
CREDENTIAL_STATE_EXPIRED: CredentialState
CREDENTIAL_STATE_MISSING: CredentialState
RELOAD_OUTCOME_UNSPECIFIED: ReloadOutcome
RELOAD_OUTCOME_APPLIED: ReloadOutcome
RELOAD_OUTCOME_REFUSED: ReloadOutcome
LOG_LEVEL_UNSPECIFIED: LogLevel
LOG_LEVEL_DEBUG: LogLevel
LOG_LEVEL_INFO: LogLevel
LOG_LEVEL_WARNING: LogLevel
LOG_LEVEL_ERROR: LogLevel

class App(_message.Message):
    __slots__ = ("name", "kind", "corp_id", "agent_id", "share_kinds", "suite_id", "provider")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_KINDS_FIELD_NUMBER: _ClassVar[int]
    SUITE_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    corp_id: str
    agent_id: int
    share_kinds: _containers.RepeatedScalarFieldContainer[_target_pb2.ShareKind]
    suite_id: str
    provider: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., corp_id: _Optional[str] = ..., agent_id: _Optional[int] = ..., share_kinds: _Optional[_Iterable[_Union[_target_pb2.ShareKind, str]]] = ..., suite_id: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class ListAppsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAppsResponse(_message.Message):
    __slots__ = ("apps",)
    APPS_FIELD_NUMBER: _ClassVar[int]
    apps: _containers.RepeatedCompositeFieldContainer[App]
    def __init__(self, apps: _Optional[_Iterable[_Union[App, _Mapping]]] = ...) -> None: ...

class CredentialInfo(_message.Message):
    __slots__ = ("app", "corp_id", "agent_id", "share_kind", "kind", "state", "generation", "age", "expire_time", "last_error", "last_error_time", "watcher_count")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_TIME_FIELD_NUMBER: _ClassVar[int]
    WATCHER_COUNT_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    agent_id: int
    share_kind: _target_pb2.ShareKind
    kind: CredentialKind
    state: CredentialState
    generation: int
    age: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    last_error: str
    last_error_time: _timestamp_pb2.Timestamp
    watcher_count: int
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ..., agent_id: _Optional[int] = ..., share_kind: _Optional[_Union[_target_pb2.ShareKind, str]] = ..., kind: _Optional[_Union[CredentialKind, str]] = ..., state: _Optional[_Union[CredentialState, str]] = ..., generation: _Optional[int] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error: _Optional[str] = ..., last_error_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., watcher_count: _Optional[int] = ...) -> None: ...

class ListCredentialsRequest(_message.Message):
    __slots__ = ("app", "page_size", "page_token")
    APP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    app: str
    page_size: int
    page_token: str
    def __init__(self, app: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCredentialsResponse(_message.Message):
    __slots__ = ("credentials", "next_page_token")
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    credentials: _containers.RepeatedCompositeFieldContainer[CredentialInfo]
    next_page_token: str
    def __init__(self, credentials: _Optional[_Iterable[_Union[CredentialInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("app", "corp_id", "agent_id", "share_kind", "kind", "reason", "message", "errcode", "endpoint", "ip", "since_time", "retry_time", "caller_count", "call_count", "remedy", "parent_corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    IP_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    RETRY_TIME_FIELD_NUMBER: _ClassVar[int]
    CALLER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    PARENT_CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    agent_id: int
    share_kind: _target_pb2.ShareKind
    kind: CredentialKind
    reason: str
    message: str
    errcode: int
    endpoint: str
    ip: str
    since_time: _timestamp_pb2.Timestamp
    retry_time: _timestamp_pb2.Timestamp
    caller_count: int
    call_count: int
    remedy: str
    parent_corp_id: str
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ..., agent_id: _Optional[int] = ..., share_kind: _Optional[_Union[_target_pb2.ShareKind, str]] = ..., kind: _Optional[_Union[CredentialKind, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., errcode: _Optional[int] = ..., endpoint: _Optional[str] = ..., ip: _Optional[str] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caller_count: _Optional[int] = ..., call_count: _Optional[int] = ..., remedy: _Optional[str] = ..., parent_corp_id: _Optional[str] = ...) -> None: ...

class ListRefusalsRequest(_message.Message):
    __slots__ = ("app", "page_size", "page_token")
    APP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    app: str
    page_size: int
    page_token: str
    def __init__(self, app: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRefusalsResponse(_message.Message):
    __slots__ = ("refusals", "next_page_token")
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    next_page_token: str
    def __init__(self, refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryRefusedRequest(_message.Message):
    __slots__ = ("app",)
    APP_FIELD_NUMBER: _ClassVar[int]
    app: str
    def __init__(self, app: _Optional[str] = ...) -> None: ...

class RetryRefusedResponse(_message.Message):
    __slots__ = ("cleared_count", "acknowledged_count")
    CLEARED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    cleared_count: int
    acknowledged_count: int
    def __init__(self, cleared_count: _Optional[int] = ..., acknowledged_count: _Optional[int] = ...) -> None: ...

class RefreshCredentialRequest(_message.Message):
    __slots__ = ("target", "kind")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    kind: CredentialKind
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., kind: _Optional[_Union[CredentialKind, str]] = ...) -> None: ...

class RefreshCredentialResponse(_message.Message):
    __slots__ = ("credential", "rotated")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    ROTATED_FIELD_NUMBER: _ClassVar[int]
    credential: CredentialInfo
    rotated: bool
    def __init__(self, credential: _Optional[_Union[CredentialInfo, _Mapping]] = ..., rotated: _Optional[bool] = ...) -> None: ...

class GetQuotasRequest(_message.Message):
    __slots__ = ("app",)
    APP_FIELD_NUMBER: _ClassVar[int]
    app: str
    def __init__(self, app: _Optional[str] = ...) -> None: ...

class CallerUse(_message.Message):
    __slots__ = ("caller", "count")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    caller: str
    count: int
    def __init__(self, caller: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("endpoint", "corp_id", "window", "used_count", "limit_count", "closed_until_time", "agent_id", "callers")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    USED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CALLERS_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    corp_id: str
    window: _duration_pb2.Duration
    used_count: int
    limit_count: int
    closed_until_time: _timestamp_pb2.Timestamp
    agent_id: int
    callers: _containers.RepeatedCompositeFieldContainer[CallerUse]
    def __init__(self, endpoint: _Optional[str] = ..., corp_id: _Optional[str] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., used_count: _Optional[int] = ..., limit_count: _Optional[int] = ..., closed_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., agent_id: _Optional[int] = ..., callers: _Optional[_Iterable[_Union[CallerUse, _Mapping]]] = ...) -> None: ...

class GetQuotasResponse(_message.Message):
    __slots__ = ("quotas",)
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    quotas: _containers.RepeatedCompositeFieldContainer[Quota]
    def __init__(self, quotas: _Optional[_Iterable[_Union[Quota, _Mapping]]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Dependency(_message.Message):
    __slots__ = ("name", "healthy", "since_time", "last_error", "remedy", "answer_duration")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    ANSWER_DURATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    healthy: bool
    since_time: _timestamp_pb2.Timestamp
    last_error: str
    remedy: str
    answer_duration: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., healthy: _Optional[bool] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error: _Optional[str] = ..., remedy: _Optional[str] = ..., answer_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RecentProblem(_message.Message):
    __slots__ = ("kind", "subject", "detail", "first_time", "last_time", "count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    subject: str
    detail: str
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    count: int
    def __init__(self, kind: _Optional[str] = ..., subject: _Optional[str] = ..., detail: _Optional[str] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class SuiteStatus(_message.Message):
    __slots__ = ("app", "ticket_time", "ticket_expire_time", "ticket_problem", "active_count", "pending_count", "lost_count", "reauthorization_required_count", "cancelled_count", "next_permission_expire_time", "lost_followed_count")
    APP_FIELD_NUMBER: _ClassVar[int]
    TICKET_TIME_FIELD_NUMBER: _ClassVar[int]
    TICKET_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TICKET_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    PENDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    REAUTHORIZATION_REQUIRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEXT_PERMISSION_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOST_FOLLOWED_COUNT_FIELD_NUMBER: _ClassVar[int]
    app: str
    ticket_time: _timestamp_pb2.Timestamp
    ticket_expire_time: _timestamp_pb2.Timestamp
    ticket_problem: str
    active_count: int
    pending_count: int
    lost_count: int
    reauthorization_required_count: int
    cancelled_count: int
    next_permission_expire_time: _timestamp_pb2.Timestamp
    lost_followed_count: int
    def __init__(self, app: _Optional[str] = ..., ticket_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ticket_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ticket_problem: _Optional[str] = ..., active_count: _Optional[int] = ..., pending_count: _Optional[int] = ..., lost_count: _Optional[int] = ..., reauthorization_required_count: _Optional[int] = ..., cancelled_count: _Optional[int] = ..., next_permission_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lost_followed_count: _Optional[int] = ...) -> None: ...

class ConfigStatus(_message.Message):
    __slots__ = ("load_time", "outcome", "problems", "restart_needed")
    LOAD_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    RESTART_NEEDED_FIELD_NUMBER: _ClassVar[int]
    load_time: _timestamp_pb2.Timestamp
    outcome: ReloadOutcome
    problems: _containers.RepeatedScalarFieldContainer[str]
    restart_needed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, load_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[ReloadOutcome, str]] = ..., problems: _Optional[_Iterable[str]] = ..., restart_needed: _Optional[_Iterable[str]] = ...) -> None: ...

class ClockSkew(_message.Message):
    __slots__ = ("clock", "ahead")
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    clock: str
    ahead: _duration_pb2.Duration
    def __init__(self, clock: _Optional[str] = ..., ahead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClockStatus(_message.Message):
    __slots__ = ("going_by", "skews", "problem")
    GOING_BY_FIELD_NUMBER: _ClassVar[int]
    SKEWS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    going_by: str
    skews: _containers.RepeatedCompositeFieldContainer[ClockSkew]
    problem: str
    def __init__(self, going_by: _Optional[str] = ..., skews: _Optional[_Iterable[_Union[ClockSkew, _Mapping]]] = ..., problem: _Optional[str] = ...) -> None: ...

class StorePrimary(_message.Message):
    __slots__ = ("address", "replica_count", "lag", "lag_bytes")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    LAG_BYTES_FIELD_NUMBER: _ClassVar[int]
    address: str
    replica_count: int
    lag: _duration_pb2.Duration
    lag_bytes: int
    def __init__(self, address: _Optional[str] = ..., replica_count: _Optional[int] = ..., lag: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., lag_bytes: _Optional[int] = ...) -> None: ...

class StoreStatus(_message.Message):
    __slots__ = ("topology", "primaries")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    PRIMARIES_FIELD_NUMBER: _ClassVar[int]
    topology: str
    primaries: _containers.RepeatedCompositeFieldContainer[StorePrimary]
    def __init__(self, topology: _Optional[str] = ..., primaries: _Optional[_Iterable[_Union[StorePrimary, _Mapping]]] = ...) -> None: ...

class SealKeyUse(_message.Message):
    __slots__ = ("id", "seals", "configured", "count")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEALS_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    id: str
    seals: bool
    configured: bool
    count: int
    def __init__(self, id: _Optional[str] = ..., seals: _Optional[bool] = ..., configured: _Optional[bool] = ..., count: _Optional[int] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("file", "end_time")
    FILE_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    file: str
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, file: _Optional[str] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReplicaInfo(_message.Message):
    __slots__ = ("name", "report_time", "silent", "current", "unreadable", "version", "start_time", "serving", "wecom_healthy", "wecom_error", "credential_count", "seal_keys", "certificates", "clock_problem", "obstacle")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REPORT_TIME_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    WECOM_HEALTHY_FIELD_NUMBER: _ClassVar[int]
    WECOM_ERROR_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEAL_KEYS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    report_time: _timestamp_pb2.Timestamp
    silent: bool
    current: bool
    unreadable: bool
    version: str
    start_time: _timestamp_pb2.Timestamp
    serving: bool
    wecom_healthy: bool
    wecom_error: str
    credential_count: int
    seal_keys: _containers.RepeatedCompositeFieldContainer[SealKeyUse]
    certificates: _containers.RepeatedCompositeFieldContainer[Certificate]
    clock_problem: str
    obstacle: str
    def __init__(self, name: _Optional[str] = ..., report_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., silent: _Optional[bool] = ..., current: _Optional[bool] = ..., unreadable: _Optional[bool] = ..., version: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., serving: _Optional[bool] = ..., wecom_healthy: _Optional[bool] = ..., wecom_error: _Optional[str] = ..., credential_count: _Optional[int] = ..., seal_keys: _Optional[_Iterable[_Union[SealKeyUse, _Mapping]]] = ..., certificates: _Optional[_Iterable[_Union[Certificate, _Mapping]]] = ..., clock_problem: _Optional[str] = ..., obstacle: _Optional[str] = ...) -> None: ...

class ListReplicasRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReplicasResponse(_message.Message):
    __slots__ = ("replicas",)
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaInfo]
    def __init__(self, replicas: _Optional[_Iterable[_Union[ReplicaInfo, _Mapping]]] = ...) -> None: ...

class EventGroup(_message.Message):
    __slots__ = ("app", "group", "open_count", "dead_count", "member_count", "oldest_time", "oldest_event_id", "failed_attempt_count")
    APP_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    OPEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    OLDEST_TIME_FIELD_NUMBER: _ClassVar[int]
    OLDEST_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    app: str
    group: str
    open_count: int
    dead_count: int
    member_count: int
    oldest_time: _timestamp_pb2.Timestamp
    oldest_event_id: str
    failed_attempt_count: int
    def __init__(self, app: _Optional[str] = ..., group: _Optional[str] = ..., open_count: _Optional[int] = ..., dead_count: _Optional[int] = ..., member_count: _Optional[int] = ..., oldest_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., oldest_event_id: _Optional[str] = ..., failed_attempt_count: _Optional[int] = ...) -> None: ...

class ListEventGroupsRequest(_message.Message):
    __slots__ = ("app",)
    APP_FIELD_NUMBER: _ClassVar[int]
    app: str
    def __init__(self, app: _Optional[str] = ...) -> None: ...

class ListEventGroupsResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[EventGroup]
    def __init__(self, groups: _Optional[_Iterable[_Union[EventGroup, _Mapping]]] = ...) -> None: ...

class DeleteEventGroupRequest(_message.Message):
    __slots__ = ("app", "group")
    APP_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    app: str
    group: str
    def __init__(self, app: _Optional[str] = ..., group: _Optional[str] = ...) -> None: ...

class DeleteEventGroupResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: _Optional[bool] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: LogLevel
    def __init__(self, level: _Optional[_Union[LogLevel, str]] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = ("previous_level", "replica")
    PREVIOUS_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    previous_level: LogLevel
    replica: str
    def __init__(self, previous_level: _Optional[_Union[LogLevel, str]] = ..., replica: _Optional[str] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "start_time", "serving", "dependencies", "credential_count", "watcher_count", "suites", "config", "replica", "refusal_count", "seal_keys", "certificates", "clock", "obstacle", "store", "problems")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    WATCHER_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUITES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEAL_KEYS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    version: str
    start_time: _timestamp_pb2.Timestamp
    serving: bool
    dependencies: _containers.RepeatedCompositeFieldContainer[Dependency]
    credential_count: int
    watcher_count: int
    suites: _containers.RepeatedCompositeFieldContainer[SuiteStatus]
    config: ConfigStatus
    replica: str
    refusal_count: int
    seal_keys: _containers.RepeatedCompositeFieldContainer[SealKeyUse]
    certificates: _containers.RepeatedCompositeFieldContainer[Certificate]
    clock: ClockStatus
    obstacle: str
    store: StoreStatus
    problems: _containers.RepeatedCompositeFieldContainer[RecentProblem]
    def __init__(self, version: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., serving: _Optional[bool] = ..., dependencies: _Optional[_Iterable[_Union[Dependency, _Mapping]]] = ..., credential_count: _Optional[int] = ..., watcher_count: _Optional[int] = ..., suites: _Optional[_Iterable[_Union[SuiteStatus, _Mapping]]] = ..., config: _Optional[_Union[ConfigStatus, _Mapping]] = ..., replica: _Optional[str] = ..., refusal_count: _Optional[int] = ..., seal_keys: _Optional[_Iterable[_Union[SealKeyUse, _Mapping]]] = ..., certificates: _Optional[_Iterable[_Union[Certificate, _Mapping]]] = ..., clock: _Optional[_Union[ClockStatus, _Mapping]] = ..., obstacle: _Optional[str] = ..., store: _Optional[_Union[StoreStatus, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[RecentProblem, _Mapping]]] = ...) -> None: ...
