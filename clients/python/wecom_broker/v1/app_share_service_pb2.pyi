from wecom_broker.v1 import target_pb2 as _target_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ShareChangeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHARE_CHANGE_TYPE_UNSPECIFIED: _ClassVar[ShareChangeType]
    SHARE_CHANGE_TYPE_SNAPSHOT: _ClassVar[ShareChangeType]
    SHARE_CHANGE_TYPE_ADDED: _ClassVar[ShareChangeType]
    SHARE_CHANGE_TYPE_REMOVED: _ClassVar[ShareChangeType]
SHARE_CHANGE_TYPE_UNSPECIFIED: ShareChangeType
SHARE_CHANGE_TYPE_SNAPSHOT: ShareChangeType
SHARE_CHANGE_TYPE_ADDED: ShareChangeType
SHARE_CHANGE_TYPE_REMOVED: ShareChangeType

class AppShare(_message.Message):
    __slots__ = ("app", "corp_id", "corp_name", "agent_id", "share_kind", "parent_corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    CORP_NAME_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    PARENT_CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    corp_name: str
    agent_id: int
    share_kind: _target_pb2.ShareKind
    parent_corp_id: str
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ..., corp_name: _Optional[str] = ..., agent_id: _Optional[int] = ..., share_kind: _Optional[_Union[_target_pb2.ShareKind, str]] = ..., parent_corp_id: _Optional[str] = ...) -> None: ...

class ListAppSharesRequest(_message.Message):
    __slots__ = ("app", "share_kind", "page_size", "page_token", "parent_corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARENT_CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    share_kind: _target_pb2.ShareKind
    page_size: int
    page_token: str
    parent_corp_id: str
    def __init__(self, app: _Optional[str] = ..., share_kind: _Optional[_Union[_target_pb2.ShareKind, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., parent_corp_id: _Optional[str] = ...) -> None: ...

class ListAppSharesResponse(_message.Message):
    __slots__ = ("shares", "next_page_token")
    SHARES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[AppShare]
    next_page_token: str
    def __init__(self, shares: _Optional[_Iterable[_Union[AppShare, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SyncAppSharesRequest(_message.Message):
    __slots__ = ("app", "parent_corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    PARENT_CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    parent_corp_id: str
    def __init__(self, app: _Optional[str] = ..., parent_corp_id: _Optional[str] = ...) -> None: ...

class SyncAppSharesResponse(_message.Message):
    __slots__ = ("added", "removed", "unchanged_count")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedCompositeFieldContainer[AppShare]
    removed: _containers.RepeatedCompositeFieldContainer[AppShare]
    unchanged_count: int
    def __init__(self, added: _Optional[_Iterable[_Union[AppShare, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[AppShare, _Mapping]]] = ..., unchanged_count: _Optional[int] = ...) -> None: ...

class WatchAppSharesRequest(_message.Message):
    __slots__ = ("app", "parent_corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    PARENT_CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    parent_corp_id: str
    def __init__(self, app: _Optional[str] = ..., parent_corp_id: _Optional[str] = ...) -> None: ...

class WatchAppSharesResponse(_message.Message):
    __slots__ = ("change_type", "shares", "snapshot_complete")
    CHANGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    change_type: ShareChangeType
    shares: _containers.RepeatedCompositeFieldContainer[AppShare]
    snapshot_complete: bool
    def __init__(self, change_type: _Optional[_Union[ShareChangeType, str]] = ..., shares: _Optional[_Iterable[_Union[AppShare, _Mapping]]] = ..., snapshot_complete: _Optional[bool] = ...) -> None: ...
