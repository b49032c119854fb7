from wecom_broker.v1 import event_service_pb2 as _event_service_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyUrlRequest(_message.Message):
    __slots__ = ("app", "msg_signature", "timestamp", "nonce", "echostr", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    MSG_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    ECHOSTR_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    msg_signature: str
    timestamp: str
    nonce: str
    echostr: str
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., msg_signature: _Optional[str] = ..., timestamp: _Optional[str] = ..., nonce: _Optional[str] = ..., echostr: _Optional[str] = ..., corp_id: _Optional[str] = ...) -> None: ...

class VerifyUrlResponse(_message.Message):
    __slots__ = ("plaintext",)
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    plaintext: bytes
    def __init__(self, plaintext: _Optional[bytes] = ...) -> None: ...

class OpenEnvelopeRequest(_message.Message):
    __slots__ = ("app", "msg_signature", "timestamp", "nonce", "body", "corp_id")
    APP_FIELD_NUMBER: _ClassVar[int]
    MSG_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    app: str
    msg_signature: str
    timestamp: str
    nonce: str
    body: bytes
    corp_id: str
    def __init__(self, app: _Optional[str] = ..., msg_signature: _Optional[str] = ..., timestamp: _Optional[str] = ..., nonce: _Optional[str] = ..., body: _Optional[bytes] = ..., corp_id: _Optional[str] = ...) -> None: ...

class OpenEnvelopeResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _event_service_pb2.Event
    def __init__(self, event: _Optional[_Union[_event_service_pb2.Event, _Mapping]] = ...) -> None: ...

class SealReplyRequest(_message.Message):
    __slots__ = ("app", "corp_id", "message", "nonce")
    APP_FIELD_NUMBER: _ClassVar[int]
    CORP_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    app: str
    corp_id: str
    message: str
    nonce: str
    def __init__(self, app: _Optional[str] = ..., corp_id: _Optional[str] = ..., message: _Optional[str] = ..., nonce: _Optional[str] = ...) -> None: ...

class SealReplyResponse(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    def __init__(self, body: _Optional[bytes] = ...) -> None: ...
