import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wecom_broker.v1 import target_pb2 as _target_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPORT_OUTCOME_UNSPECIFIED: _ClassVar[ReportOutcome]
    REPORT_OUTCOME_ROTATED: _ClassVar[ReportOutcome]
    REPORT_OUTCOME_ALREADY_ROTATED: _ClassVar[ReportOutcome]
    REPORT_OUTCOME_UNCHANGED: _ClassVar[ReportOutcome]
    REPORT_OUTCOME_COOLING_DOWN: _ClassVar[ReportOutcome]
REPORT_OUTCOME_UNSPECIFIED: ReportOutcome
REPORT_OUTCOME_ROTATED: ReportOutcome
REPORT_OUTCOME_ALREADY_ROTATED: ReportOutcome
REPORT_OUTCOME_UNCHANGED: ReportOutcome
REPORT_OUTCOME_COOLING_DOWN: ReportOutcome

class AccessToken(_message.Message):
    __slots__ = ("value", "expire_time", "corp_id", "agent_id", "generation")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    value: str
    expire_time: _timestamp_pb2.Timestamp
    corp_id: str
    agent_id: int
    generation: int
    def __init__(self, value: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., corp_id: _Optional[str] = ..., agent_id: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class GetAccessTokenRequest(_message.Message):
    __slots__ = ("target", "min_ttl")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    MIN_TTL_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    min_ttl: _duration_pb2.Duration
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., min_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetAccessTokenResponse(_message.Message):
    __slots__ = ("token", "ttl")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    token: AccessToken
    ttl: _duration_pb2.Duration
    def __init__(self, token: _Optional[_Union[AccessToken, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchAccessTokenRequest(_message.Message):
    __slots__ = ("target",)
    TARGET_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ...) -> None: ...

class WatchAccessTokenResponse(_message.Message):
    __slots__ = ("token", "ttl")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    token: AccessToken
    ttl: _duration_pb2.Duration
    def __init__(self, token: _Optional[_Union[AccessToken, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ReportInvalidTokenRequest(_message.Message):
    __slots__ = ("target", "generation", "errcode")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    generation: int
    errcode: int
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., generation: _Optional[int] = ..., errcode: _Optional[int] = ...) -> None: ...

class ReportInvalidTokenResponse(_message.Message):
    __slots__ = ("outcome", "token", "ttl")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    outcome: ReportOutcome
    token: AccessToken
    ttl: _duration_pb2.Duration
    def __init__(self, outcome: _Optional[_Union[ReportOutcome, str]] = ..., token: _Optional[_Union[AccessToken, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
