"""One call to WeCom as a value, and WeCom's answer to it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from broker.adapters.wecom.upload import Upload
from broker.domain.apps import App
from broker.domain.corps import CORP_ID
from broker.domain.credentials import Credential, CredentialKind, Grant
from broker.domain.errors import BrokerError, WecomProtocol
from broker.domain.ports.rate_gate import CallScope
from broker.domain.ports.wecom import Allow, GiveBack
from broker.domain.secret import Secret
from broker.domain.suites.suite import Provider, Suite
from broker.protocol import api_paths
from broker.protocol.error_codes import error_of, leaves_code_unread
from broker.protocol.wecom_json import is_whole

TOKEN = re.compile(r"[\x21-\x7e]{8,4096}")
"""Tokens travel in query strings and messages; WeCom promises at most 512 bytes."""
SECRET = re.compile(r"[\x21-\x7e]{1,4096}")
LONGEST_LIFE = timedelta(days=365)
PARAMETERS = {
    CredentialKind.ACCESS_TOKEN: "access_token",
    CredentialKind.SUITE_TOKEN: "suite_access_token",
    CredentialKind.PROVIDER_TOKEN: "provider_access_token",
}
"""The names of tokens in the query: under a wrong one a token counts as dead (wecom-api D, 40014)."""

Query = tuple[tuple[str, str | Secret], ...]


async def always() -> GiveBack:
    """Allow every call."""
    return _nothing


async def _nothing() -> None:
    """Give nothing back: nothing was counted."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. Its secrets are revealed only when it is sent."""

    method: str
    endpoint: str
    sender: Credential | App | Suite | Provider
    """The token that it carries, or who asks for a first one with a secret."""
    query: Query = ()
    body: Mapping[str, object] | bytes | Upload = field(default=b"", repr=False)
    corp_id: str = ""
    """The corp that a call with a suite's own token is about."""
    blames: str = ""
    """The field of the caller's request to name when WeCom blames the caller; "" if there is none."""
    carries_code: bool = False
    """Whether it carries a one-time code: it is sent only once."""
    at_will: bool = False
    """Whether callers may ask for it as often as they like: it takes no slot that tokens need."""
    proxied: bool = False
    """Whether it is a caller's own call: sent only once, and an errcode is a regular answer."""
    caller: str = ""
    """The caller whose own call it is, if callers' outages are told apart."""
    is_file: bool = False
    """Whether it streams a file, in either direction."""
    allow: Allow = always
    label: str = ""
    """The endpoint's name in metrics, if callers choose the path."""
    longest: timedelta | None = None
    """How long it may take in all; None = as configured."""

    @property
    def scope(self) -> CallScope:
        """Return whom the call concerns."""
        match self.sender:
            case Suite(name=name):
                return CallScope(name, "", self.endpoint)
            case App(name=name, corp_id=corp_id) | Provider(name=name, corp_id=corp_id):
                return CallScope(name, corp_id, self.endpoint)
            case Credential(key=key):
                return CallScope(
                    key.app,
                    key.corp_id or self.corp_id,
                    self.endpoint,
                    self.carries_code,
                    self.caller,
                    self.is_file,
                    self.proxied,
                )

    @property
    def path_class(self) -> str:
        """Return the path; of one that a caller chose only if the reference has it: it may be anything."""
        return api_paths.class_of(self.endpoint) if self.label else self.endpoint

    @property
    def token(self) -> Credential | None:
        """Return the token that it carries."""
        return self.sender if isinstance(self.sender, Credential) else None

    @property
    def upload(self) -> Upload | None:
        """Return the file that is the body."""
        return self.body if isinstance(self.body, Upload) else None

    @property
    def fault(self) -> BrokerError | None:
        """Return what the caller did wrong while its file was sent."""
        return self.body.fault if isinstance(self.body, Upload) else None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query with the token in it: the token never goes into the body (41001)."""
        token = ((PARAMETERS[self.token.key.kind], self.token.value),) if self.token else ()
        return [
            (name, value.reveal() if isinstance(value, Secret) else value)
            for name, value in (*self.query, *token)
        ]

    def content(self) -> bytes:
        """Return the body of a call that uploads nothing."""
        if isinstance(self.body, Mapping):
            return json.dumps(self.body, default=Secret.reveal).encode()
        return self.body if isinstance(self.body, bytes) else b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What WeCom answered: the bytes as received, and the JSON object in them."""

    call: Call
    body: bytes = field(repr=False)
    fields: Mapping[str, object] = field(repr=False)
    errcode: int

    @property
    def error(self) -> BrokerError | None:
        """Return what the errcode means; None for a success."""
        error = error_of(self.call.endpoint, self.fields, self.call.blames)
        if error and self.call.carries_code:
            token = self.call.token
            error.code_unread = token is not None and leaves_code_unread(self.errcode, token.key.kind)
        return error

    def identifier(self, name: str) -> str:
        """Return a required text that is intact. Raises `WecomProtocol`."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value or not is_whole(value):
            raise self.unreadable(f"has no usable {name}")
        return value

    def secret(self, name: str) -> Secret:
        """Return a required secret: a permanent code or a session key. Raises `WecomProtocol`."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not SECRET.fullmatch(value):
            raise self.unreadable(f"has no usable {name}")
        return Secret(value)

    def corp_id(self, name: str) -> str:
        """Return a required corp id. Raises `WecomProtocol`."""
        value = self.identifier(name)
        if not CORP_ID.fullmatch(value):
            raise self.unreadable(f"has no usable {name}")
        return value

    def entries(self, name: str) -> list[object]:
        """Return a required list. Raises `WecomProtocol`."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise self.unreadable(f"has no list {name}")
        return value

    def grant(self, name: str) -> Grant:
        """Return the credential of that name and its lifetime. Raises `WecomProtocol`."""
        value, lifetime = self.fields.get(name), self.fields.get("expires_in")
        if not isinstance(value, str) or not TOKEN.fullmatch(value):
            raise self.unreadable(f"has no usable {name}")
        try:
            seconds = math.nan if isinstance(lifetime, bool) else float(lifetime)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            seconds = math.nan
        if not 0 <= seconds < LONGEST_LIFE.total_seconds():
            raise self.unreadable("has no usable expires_in")
        return Grant(Secret(value), timedelta(seconds=seconds))

    def unreadable(self, problem: str) -> WecomProtocol:
        """Return the error of an answer that cannot be used."""
        return WecomProtocol(f"WeCom's answer {problem}", endpoint=self.call.endpoint)
