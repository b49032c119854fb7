import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wecom_broker.v1 import target_pb2 as _target_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuthorizationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTHORIZATION_STATE_UNSPECIFIED: _ClassVar[AuthorizationState]
    AUTHORIZATION_STATE_ACTIVE: _ClassVar[AuthorizationState]
    AUTHORIZATION_STATE_PENDING: _ClassVar[AuthorizationState]
    AUTHORIZATION_STATE_LOST: _ClassVar[AuthorizationState]
    AUTHORIZATION_STATE_REAUTHORIZATION_REQUIRED: _ClassVar[AuthorizationState]
    AUTHORIZATION_STATE_CANCELLED: _ClassVar[AuthorizationState]

class AuthMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTH_MODE_UNSPECIFIED: _ClassVar[AuthMode]
    AUTH_MODE_ADMIN: _ClassVar[AuthMode]
    AUTH_MODE_MEMBER: _ClassVar[AuthMode]
AUTHORIZATION_STATE_UNSPECIFIED: AuthorizationState
AUTHORIZATION_STATE_ACTIVE: AuthorizationState
AUTHORIZATION_STATE_PENDING: AuthorizationState
AUTHORIZATION_STATE_LOST: AuthorizationState
AUTHORIZATION_STATE_REAUTHORIZATION_REQUIRED: AuthorizationState
AUTHORIZATION_STATE_CANCELLED: AuthorizationState
AUTH_MODE_UNSPECIFIED: AuthMode
AUTH_MODE_ADMIN: AuthMode
AUTH_MODE_MEMBER: AuthMode

class SharedFrom(_message.Message):
    __slots__ = ("corp_id", "share_kind")
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    corp_id: str
    share_kind: _target_pb2.ShareKind
    def __init__(self, corp_id: _Optional[str] = ..., share_kind: _Optional[_Union[_target_pb2.ShareKind, str]] = ...) -> None: ...

class Edition(_message.Message):
    __slots__ = ("edition_id", "edition_name", "app_status", "user_limit", "expire_time", "shared_from_other_corp")
    EDITION_ID_FIELD_NUMBER: _ClassVar[int]
    EDITION_NAME_FIELD_NUMBER: _ClassVar[int]
    APP_STATUS_FIELD_NUMBER: _ClassVar[int]
    USER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SHARED_FROM_OTHER_CORP_FIELD_NUMBER: _ClassVar[int]
    edition_id: str
    edition_name: str
    app_status: int
    user_limit: int
    expire_time: _timestamp_pb2.Timestamp
    shared_from_other_corp: bool
    def __init__(self, edition_id: _Optional[str] = ..., edition_name: _Optional[str] = ..., app_status: _Optional[int] = ..., user_limit: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., shared_from_other_corp: _Optional[bool] = ...) -> None: ...

class Permission(_message.Message):
    __slots__ = ("name", "expire_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AuthorizedAgent(_message.Message):
    __slots__ = ("agent_id", "name", "edition", "shared_from", "permissions")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    SHARED_FROM_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    agent_id: int
    name: str
    edition: Edition
    shared_from: SharedFrom
    permissions: _containers.RepeatedCompositeFieldContainer[Permission]
    def __init__(self, agent_id: _Optional[int] = ..., name: _Optional[str] = ..., edition: _Optional[_Union[Edition, _Mapping]] = ..., shared_from: _Optional[_Union[SharedFrom, _Mapping]] = ..., permissions: _Optional[_Iterable[_Union[Permission, _Mapping]]] = ...) -> None: ...

class Authorization(_message.Message):
    __slots__ = ("app", "corp_id", "corp_name", "state", "agents", "auth_mode", "installer_user_id", "install_state", "install_time", "update_time", "problem", "installation_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    CORP_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    AUTH_MODE_FIELD_NUMBER: _ClassVar[int]
    INSTALLER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    INSTALL_STATE_FIELD_NUMBER: _ClassVar[int]
    INSTALL_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    corp_name: str
    state: AuthorizationState
    agents: _containers.RepeatedCompositeFieldContainer[AuthorizedAgent]
    auth_mode: AuthMode
    installer_user_id: str
    install_state: str
    install_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    problem: str
    installation_id: str
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ..., corp_name: _Optional[str] = ..., state: _Optional[_Union[AuthorizationState, str]] = ..., agents: _Optional[_Iterable[_Union[AuthorizedAgent, _Mapping]]] = ..., auth_mode: _Optional[_Union[AuthMode, str]] = ..., installer_user_id: _Optional[str] = ..., install_state: _Optional[str] = ..., install_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problem: _Optional[str] = ..., installation_id: _Optional[str] = ...) -> None: ...

class BuildInstallUrlRequest(_message.Message):
    __slots__ = ("app", "redirect_uri", "state", "test_install")
    APP_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEST_INSTALL_FIELD_NUMBER: _ClassVar[int]
    app: str
    redirect_uri: str
    state: str
    test_install: bool
    def __init__(self, app: _Optional[str] = ..., redirect_uri: _Optional[str] = ..., state: _Optional[str] = ..., test_install: _Optional[bool] = ...) -> None: ...

class BuildInstallUrlResponse(_message.Message):
    __slots__ = ("url", "state", "expire_time")
    URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    url: str
    state: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., state: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CompleteInstallationRequest(_message.Message):
    __slots__ = ("app", "auth_code", "state")
    APP_FIELD_NUMBER: _ClassVar[int]
    AUTH_CODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    app: str
    auth_code: str
    state: str
    def __init__(self, app: _Optional[str] = ..., auth_code: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class CompleteInstallationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class ListAuthorizationsRequest(_message.Message):
    __slots__ = ("app", "page_size", "page_token")
    APP_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    app: str
    page_size: int
    page_token: str
    def __init__(self, app: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAuthorizationsResponse(_message.Message):
    __slots__ = ("authorizations", "next_page_token")
    AUTHORIZATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    authorizations: _containers.RepeatedCompositeFieldContainer[Authorization]
    next_page_token: str
    def __init__(self, authorizations: _Optional[_Iterable[_Union[Authorization, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetAuthorizationRequest(_message.Message):
    __slots__ = ("app", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ...) -> None: ...

class GetAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class RefreshAuthorizationRequest(_message.Message):
    __slots__ = ("app", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ...) -> None: ...

class RefreshAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class WatchAuthorizationsRequest(_message.Message):
    __slots__ = ("app",)
    APP_FIELD_NUMBER: _ClassVar[int]
    app: str
    def __init__(self, app: _Optional[str] = ...) -> None: ...

class WatchAuthorizationsResponse(_message.Message):
    __slots__ = ("authorizations", "snapshot_complete", "snapshot")
    AUTHORIZATIONS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    authorizations: _containers.RepeatedCompositeFieldContainer[Authorization]
    snapshot_complete: bool
    snapshot: bool
    def __init__(self, authorizations: _Optional[_Iterable[_Union[Authorization, _Mapping]]] = ..., snapshot_complete: _Optional[bool] = ..., snapshot: _Optional[bool] = ...) -> None: ...
