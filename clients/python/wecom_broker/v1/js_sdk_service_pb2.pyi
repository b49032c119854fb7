from wecom_broker.v1 import target_pb2 as _target_pb2
from wecom_broker.v1 import token_service_pb2 as _token_service_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TicketKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TICKET_KIND_UNSPECIFIED: _ClassVar[TicketKind]
    TICKET_KIND_CORP: _ClassVar[TicketKind]
    TICKET_KIND_AGENT: _ClassVar[TicketKind]
TICKET_KIND_UNSPECIFIED: TicketKind
TICKET_KIND_CORP: TicketKind
TICKET_KIND_AGENT: TicketKind

class ConfigSignature(_message.Message):
    __slots__ = ("corp_id", "timestamp", "nonce_str", "signature", "generation")
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NONCE_STR_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    corp_id: str
    timestamp: int
    nonce_str: str
    signature: str
    generation: int
    def __init__(self, corp_id: _Optional[str] = ..., timestamp: _Optional[int] = ..., nonce_str: _Optional[str] = ..., signature: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class AgentConfigSignature(_message.Message):
    __slots__ = ("corp_id", "agent_id", "timestamp", "nonce_str", "signature", "generation")
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NONCE_STR_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    corp_id: str
    agent_id: int
    timestamp: int
    nonce_str: str
    signature: str
    generation: int
    def __init__(self, corp_id: _Optional[str] = ..., agent_id: _Optional[int] = ..., timestamp: _Optional[int] = ..., nonce_str: _Optional[str] = ..., signature: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class SignPageRequest(_message.Message):
    __slots__ = ("target", "url")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    url: str
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., url: _Optional[str] = ...) -> None: ...

class SignPageResponse(_message.Message):
    __slots__ = ("config", "agent_config")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    AGENT_CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: ConfigSignature
    agent_config: AgentConfigSignature
    def __init__(self, config: _Optional[_Union[ConfigSignature, _Mapping]] = ..., agent_config: _Optional[_Union[AgentConfigSignature, _Mapping]] = ...) -> None: ...

class SignConfigRequest(_message.Message):
    __slots__ = ("target", "url")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    url: str
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., url: _Optional[str] = ...) -> None: ...

class SignConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: ConfigSignature
    def __init__(self, config: _Optional[_Union[ConfigSignature, _Mapping]] = ...) -> None: ...

class SignAgentConfigRequest(_message.Message):
    __slots__ = ("target", "url")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    url: str
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., url: _Optional[str] = ...) -> None: ...

class SignAgentConfigResponse(_message.Message):
    __slots__ = ("agent_config",)
    AGENT_CONFIG_FIELD_NUMBER: _ClassVar[int]
    agent_config: AgentConfigSignature
    def __init__(self, agent_config: _Optional[_Union[AgentConfigSignature, _Mapping]] = ...) -> None: ...

class ReportInvalidTicketRequest(_message.Message):
    __slots__ = ("target", "kind", "generation", "errcode")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    kind: TicketKind
    generation: int
    errcode: int
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., kind: _Optional[_Union[TicketKind, str]] = ..., generation: _Optional[int] = ..., errcode: _Optional[int] = ...) -> None: ...

class ReportInvalidTicketResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: _token_service_pb2.ReportOutcome
    def __init__(self, outcome: _Optional[_Union[_token_service_pb2.ReportOutcome, str]] = ...) -> None: ...
