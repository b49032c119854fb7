import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wecom_broker.v1 import target_pb2 as _target_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Session(_message.Message):
    __slots__ = ("session_id", "corp_id", "user_id", "source_user_id", "converted", "expire_time")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERTED_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    corp_id: str
    user_id: str
    source_user_id: str
    converted: bool
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[str] = ..., corp_id: _Optional[str] = ..., user_id: _Optional[str] = ..., source_user_id: _Optional[str] = ..., converted: _Optional[bool] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExchangeLoginCodeRequest(_message.Message):
    __slots__ = ("app", "js_code", "share_kind", "corp_id", "agent_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    JS_CODE_FIELD_NUMBER: _ClassVar[int]
    SHARE_KIND_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    js_code: str
    share_kind: _target_pb2.ShareKind
    corp_id: str
    agent_id: int
    def __init__(self, app: _Optional[str] = ..., js_code: _Optional[str] = ..., share_kind: _Optional[_Union[_target_pb2.ShareKind, str]] = ..., corp_id: _Optional[str] = ..., agent_id: _Optional[int] = ...) -> None: ...

class ExchangeLoginCodeResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class ConvertSessionRequest(_message.Message):
    __slots__ = ("target", "user_id", "session_key")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_KEY_FIELD_NUMBER: _ClassVar[int]
    target: _target_pb2.Target
    user_id: str
    session_key: str
    def __init__(self, target: _Optional[_Union[_target_pb2.Target, _Mapping]] = ..., user_id: _Optional[str] = ..., session_key: _Optional[str] = ...) -> None: ...

class ConvertSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class DecryptDataRequest(_message.Message):
    __slots__ = ("session_id", "encrypted_data", "iv")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_DATA_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    encrypted_data: str
    iv: str
    def __init__(self, session_id: _Optional[str] = ..., encrypted_data: _Optional[str] = ..., iv: _Optional[str] = ...) -> None: ...

class DecryptDataResponse(_message.Message):
    __slots__ = ("plaintext",)
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    plaintext: bytes
    def __init__(self, plaintext: _Optional[bytes] = ...) -> None: ...

class VerifySignatureRequest(_message.Message):
    __slots__ = ("session_id", "raw_data", "signature")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RAW_DATA_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    raw_data: str
    signature: str
    def __init__(self, session_id: _Optional[str] = ..., raw_data: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...

class VerifySignatureResponse(_message.Message):
    __slots__ = ("valid",)
    VALID_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    def __init__(self, valid: _Optional[bool] = ...) -> None: ...

class GetSessionKeyRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class GetSessionKeyResponse(_message.Message):
    __slots__ = ("session_key",)
    SESSION_KEY_FIELD_NUMBER: _ClassVar[int]
    session_key: str
    def __init__(self, session_key: _Optional[str] = ...) -> None: ...

class DeleteSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class DeleteSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
