from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OauthScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OAUTH_SCOPE_UNSPECIFIED: _ClassVar[OauthScope]
    OAUTH_SCOPE_BASE: _ClassVar[OauthScope]
    OAUTH_SCOPE_PRIVATE_INFO: _ClassVar[OauthScope]

class UserKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USER_KIND_UNSPECIFIED: _ClassVar[UserKind]
    USER_KIND_OWN_MEMBER: _ClassVar[UserKind]
    USER_KIND_CHILD_MEMBER: _ClassVar[UserKind]
    USER_KIND_EXTERNAL_CONTACT: _ClassVar[UserKind]
    USER_KIND_NON_MEMBER: _ClassVar[UserKind]
OAUTH_SCOPE_UNSPECIFIED: OauthScope
OAUTH_SCOPE_BASE: OauthScope
OAUTH_SCOPE_PRIVATE_INFO: OauthScope
USER_KIND_UNSPECIFIED: UserKind
USER_KIND_OWN_MEMBER: UserKind
USER_KIND_CHILD_MEMBER: UserKind
USER_KIND_EXTERNAL_CONTACT: UserKind
USER_KIND_NON_MEMBER: UserKind

class User(_message.Message):
    __slots__ = ("corp_id", "user_id", "kind", "external_user_id", "open_id", "user_ticket", "corp_unknown")
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_USER_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_ID_FIELD_NUMBER: _ClassVar[int]
    USER_TICKET_FIELD_NUMBER: _ClassVar[int]
    CORP_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    corp_id: str
    user_id: str
    kind: UserKind
    external_user_id: str
    open_id: str
    user_ticket: str
    corp_unknown: bool
    def __init__(self, corp_id: _Optional[str] = ..., user_id: _Optional[str] = ..., kind: _Optional[_Union[UserKind, str]] = ..., external_user_id: _Optional[str] = ..., open_id: _Optional[str] = ..., user_ticket: _Optional[str] = ..., corp_unknown: _Optional[bool] = ...) -> None: ...

class BuildAuthorizeUrlRequest(_message.Message):
    __slots__ = ("app", "redirect_uri", "scope", "state", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    redirect_uri: str
    scope: OauthScope
    state: str
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., redirect_uri: _Optional[str] = ..., scope: _Optional[_Union[OauthScope, str]] = ..., state: _Optional[str] = ..., corp_id: _Optional[str] = ...) -> None: ...

class BuildAuthorizeUrlResponse(_message.Message):
    __slots__ = ("url", "state")
    URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    url: str
    state: str
    def __init__(self, url: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class ExchangeAuthCodeRequest(_message.Message):
    __slots__ = ("app", "code", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    code: str
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., code: _Optional[str] = ..., corp_id: _Optional[str] = ...) -> None: ...

class ExchangeAuthCodeResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class UserProfile(_message.Message):
    __slots__ = ("corp_id", "user_id", "gender", "avatar", "qr_code", "mobile", "email", "biz_mail", "address")
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    GENDER_FIELD_NUMBER: _ClassVar[int]
    AVATAR_FIELD_NUMBER: _ClassVar[int]
    QR_CODE_FIELD_NUMBER: _ClassVar[int]
    MOBILE_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    BIZ_MAIL_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    corp_id: str
    user_id: str
    gender: str
    avatar: str
    qr_code: str
    mobile: str
    email: str
    biz_mail: str
    address: str
    def __init__(self, corp_id: _Optional[str] = ..., user_id: _Optional[str] = ..., gender: _Optional[str] = ..., avatar: _Optional[str] = ..., qr_code: _Optional[str] = ..., mobile: _Optional[str] = ..., email: _Optional[str] = ..., biz_mail: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class GetUserProfileRequest(_message.Message):
    __slots__ = ("app", "user_ticket", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    USER_TICKET_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    user_ticket: str
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., user_ticket: _Optional[str] = ..., corp_id: _Optional[str] = ...) -> None: ...

class GetUserProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: UserProfile
    def __init__(self, profile: _Optional[_Union[UserProfile, _Mapping]] = ...) -> None: ...
