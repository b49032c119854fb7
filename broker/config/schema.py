"""The configuration: read from TOML, checked as a whole, every mistake told by its key."""

import base64
import binascii
import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from broker.config.checks import mistakes_together
from broker.domain.access import Action
from broker.domain.apps import APP_NAME
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.secret import Secret

SEAL_KEY_BYTES = 32
LEVEL_VARIABLE = "WECOM_BROKER_LOG_LEVEL"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has one line for each mistake, the key first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _secret(given: object) -> Secret:
    """Resolve a secret: a string, `{ env = "NAME" }` or `{ file = "path" }`."""
    match given:
        case Secret():
            return given
        case str():
            value = given
        case {"env": str(name), **rest} if not rest:
            if name not in os.environ:
                raise ValueError(f"environment variable {name} is not set")
            value = os.environ[name]
        case {"file": str(path), **rest} if not rest:
            try:
                value = Path(path).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"cannot read {path}: {type(error).__name__}") from None
        case _:
            raise ValueError('must be a string, { env = "NAME" } or { file = "path" }')
    if not value:
        raise ValueError("is empty")
    return Secret(value)


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"is not {what}")
        return value

    return AfterValidator(check)


def _address(value: str) -> str:
    if value.startswith("unix:///") and len(value) > len("unix:///"):
        return value
    host, _, port = value.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError("must be host:port or unix:///path")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http(s) URL without a query")
    return value


def _store_address(given: object) -> object:
    """Resolve an address that holds a password and is given as a secret."""
    return _secret(given).reveal() if isinstance(given, Mapping) else given


def _store_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme == "sqlite":
        if parts.netloc or len(parts.path) < 2:  # noqa: PLR2004 - more than the slash
            raise ValueError("must be sqlite:///path")
    elif parts.scheme in ("redis", "rediss"):
        if not parts.hostname:
            raise ValueError(f"must be {parts.scheme}://host:port")
    elif parts.scheme in ("redis+sentinel", "redis+cluster"):
        raise ValueError(f"{parts.scheme} is not supported yet; redis, rediss and sqlite are")
    else:
        raise ValueError("must begin with sqlite:///, redis:// or rediss://")
    return value


def _seal_key(secret: Secret) -> Secret:
    try:
        key = base64.b64decode(secret.reveal(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != SEAL_KEY_BYTES:
        raise ValueError(f"must be base64 of {SEAL_KEY_BYTES} bytes; `wecom-broker keys new` makes one")
    return secret


def _secret_matching(pattern: str, what: str) -> AfterValidator:
    def check(secret: Secret) -> Secret:
        if not re.fullmatch(pattern, secret.reveal()):
            raise ValueError(f"must be {what}")
        return secret

    return AfterValidator(check)


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError("must be an address or a network like 10.0.0.0/8") from None


def _readable(path: str) -> str:
    if "\0" in path or not os.access(path, os.R_OK):
        raise ValueError(f"cannot read {path}")
    return path


AnySecret = Annotated[Secret, BeforeValidator(_secret)]
Name = Annotated[str, _matching(APP_NAME, "a name: letters, digits, '.', '_', '-', at most 64")]
CorpId = Annotated[str, _matching(CORP_ID, "a corp id")]
Address = Annotated[str, AfterValidator(_address)]
ReadablePath = Annotated[str, AfterValidator(_readable)]
Network = Annotated[str, AfterValidator(_network)]
Url = Annotated[str, AfterValidator(_url)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
ChildKind = Literal["corp_group", "supply_chain"]


class Table(BaseModel):
    """One table of the file: unknown keys are mistakes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class TlsTable(Table):
    """`tls` of `[server]`: paths of PEM files."""

    certificate: ReadablePath
    private_key: ReadablePath
    client_ca: ReadablePath | None = None


class ServerTable(Table):
    """`[server]`."""

    grpc: Annotated[list[Address], Field(min_length=1)] = ["127.0.0.1:50051"]
    http: Address = "127.0.0.1:8080"
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    tls: TlsTable | None = None
    trusted_proxies: list[Network] = []
    reflection: bool = False
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 10


class SealKeyTable(Table):
    """One of `seal_keys`."""

    id: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.-]+$")]
    key: Annotated[AnySecret, AfterValidator(_seal_key)]

    def key_bytes(self) -> bytes:
        """Return the key itself."""
        return base64.b64decode(self.key.reveal())


class StoreTable(Table):
    """`[store]`."""

    url: Annotated[str, BeforeValidator(_store_address), AfterValidator(_store_url)] = (
        "sqlite:///wecom-broker.db"
    )
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = "wecom-broker"
    seal_keys: list[SealKeyTable] = []

    @property
    def is_embedded(self) -> bool:
        """Tell whether the store is a file of this process alone."""
        return self.url.startswith("sqlite:")

    @property
    def path(self) -> Path:
        """Return the embedded store's file: `sqlite:///x.db` is relative, `sqlite:////x.db` absolute."""
        return Path(self.url.removeprefix("sqlite:///"))


class WecomTable(Table):
    """`[wecom]`."""

    api_base: Url = "https://qyapi.weixin.qq.com"
    oauth_base: Url = "https://open.weixin.qq.com"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5


class LogTable(Table):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class RefreshTable(Table):
    """`[refresh]`."""

    advisory: Annotated[float, Field(gt=0, lt=1)] = 0.8
    mandatory_seconds: Annotated[float, Field(ge=0, le=3600)] = 60
    cooldown_seconds: Seconds = 10
    share_sync_seconds: Seconds = 600


class CallbackTable(Table):
    """`callback` of an app."""

    token: Annotated[AnySecret, _secret_matching("[A-Za-z0-9]{1,32}", "1 to 32 letters and digits")]
    aes_key: Annotated[
        AnySecret, _secret_matching("[A-Za-z0-9+/]{43}", "the 43 characters of an EncodingAESKey")
    ]
    max_age_seconds: Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)] = 600
    accept_child_receive_id: bool = True
    check_sender: bool = False


class EventsTable(Table):
    """`[events]`."""

    retention_seconds: Annotated[float, Field(ge=60, le=90 * 86400)] = 3 * 86400
    retention_count: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    ack_timeout_seconds: Annotated[float, Field(ge=1, le=3600)] = 60
    max_tries: Annotated[int, Field(ge=1, le=1000)] = 10


class MiniProgramTable(Table):
    """`mini_program` of an app: what decrypted data must carry."""

    app_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    max_age_seconds: Annotated[float, Field(gt=0)] | None = None


class AppTable(Table):
    """One of `[[apps]]`."""

    name: Name
    kind: Literal["self_built"] = "self_built"
    corp_id: CorpId
    agent_id: Annotated[int, Field(gt=0, lt=2**63, strict=True)]
    secret: AnySecret
    share_kinds: list[ChildKind] = ["corp_group"]
    callback: CallbackTable | None = None
    mini_program: MiniProgramTable | None = None

    def kinds(self) -> tuple[ShareKind, ...]:
        """Return the kinds of share to list, each once."""
        return tuple(ShareKind(kind) for kind in dict.fromkeys(self.share_kinds))


class RuleTable(Table):
    """One of `allow` of a caller."""

    apps: Annotated[list[str], Field(min_length=1)]
    corps: Annotated[list[str], Field(min_length=1)] = ["*"]
    actions: Annotated[list[Action], Field(min_length=1)]
    paths: list[str] = []


class CallerTable(Table):
    """One of `[[callers]]`."""

    name: Name
    identity: Annotated[str, Field(pattern=r"^(spiffe://|dns:).+")] | None = None
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    allow: list[RuleTable] = []

    @model_validator(mode="after")
    def _one_proof(self) -> "CallerTable":
        if (self.identity is None) == (self.token_sha256 is None):
            raise ValueError("needs either identity or token_sha256")
        return self


class Config(Table):
    """The whole file."""

    server: ServerTable = ServerTable()
    store: StoreTable = StoreTable()
    wecom: WecomTable = WecomTable()
    log: LogTable = LogTable()
    refresh: RefreshTable = RefreshTable()
    events: EventsTable = EventsTable()
    apps: list[AppTable] = []
    callers: list[CallerTable] = []


def load_config(path: Path, *, insecure: bool = False) -> Config:
    """Read and check the file. Raises `ConfigError` with all mistakes."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError([f"{path}: cannot be read: {problem}"]) from None
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from None
    return parse_config(given, insecure=insecure)


def parse_config(given: Mapping[str, Any], *, insecure: bool = False) -> Config:
    """Check what was read. Raises `ConfigError` with all mistakes."""
    given = _with_level_of_environment(given)
    problems: list[str] = []
    broken: set[int | str] = set()
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        problems = [f"{_key(problem['loc'])}: {_said(problem)}" for problem in found]
        broken = {problem["loc"][0] for problem in found}
        # The tables that are right are still seen together: all mistakes are told at once.
        config = Config.model_validate({name: table for name, table in given.items() if name not in broken})
    problems += mistakes_together(config, broken, insecure=insecure)
    if problems:
        raise ConfigError(problems)
    return config


def _with_level_of_environment(given: Mapping[str, Any]) -> Mapping[str, Any]:
    level, log = os.environ.get(LEVEL_VARIABLE, ""), given.get("log", {})
    overrides = level and isinstance(log, Mapping)
    return {**given, "log": {**log, "level": level.lower()}} if overrides else given


def _key(location: tuple[int | str, ...]) -> str:
    if location == ("log", "level") and os.environ.get(LEVEL_VARIABLE):
        return LEVEL_VARIABLE
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return key.removeprefix(".") or "the file"


def _said(problem: Mapping[str, Any]) -> str:
    plain = {"extra_forbidden": "unknown key", "missing": "is required", "model_type": "must be a table"}
    return plain.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
