from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ShareKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHARE_KIND_UNSPECIFIED: _ClassVar[ShareKind]
    SHARE_KIND_CORP_GROUP: _ClassVar[ShareKind]
    SHARE_KIND_SUPPLY_CHAIN: _ClassVar[ShareKind]
SHARE_KIND_UNSPECIFIED: ShareKind
SHARE_KIND_CORP_GROUP: ShareKind
SHARE_KIND_SUPPLY_CHAIN: ShareKind

class Target(_message.Message):
    __slots__ = ("app", "corp_id", "share_kind", "agent_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    share_kind: ShareKind
    agent_id: int
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ..., share_kind: _Optional[_Union[ShareKind, str]] = ..., agent_id: _Optional[int] = ...) -> None: ...
