"""The types of single keys, each with a message that says how to write one."""

import hashlib
import os
import re
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from broker.domain.apps import APP_NAME
from broker.domain.corps import CORP_ID


def _matching(pattern: str | re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
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


def _file_mode(value: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError('must be a file mode in octal, such as "0660"')
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


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError("must be an address or a network like 10.0.0.0/8") from None


def _agent_id(value: int) -> int:
    if value <= 0:
        raise ValueError("is no AgentId; leave the key out where there is none (通讯录同步, 会话存档 …)")
    return value


def _readable(path: str) -> str:
    if "\0" in path or not os.access(path, os.R_OK):
        raise ValueError(f"cannot read {path}")
    return path


def _token_digest(value: str) -> str:
    if value == hashlib.sha256(b"").hexdigest():
        raise ValueError("is the digest of an empty token")
    if value == hashlib.sha256(b"example").hexdigest():
        raise ValueError("is the digest of a published example; make a token of your own")
    return value


AgentId = Annotated[int, Field(strict=True, lt=2**63), AfterValidator(_agent_id)]
Name = Annotated[str, _matching(APP_NAME, "a name: letters, digits, '.', '_', '-', at most 64")]
CorpId = Annotated[str, _matching(CORP_ID, "a corp id, such as ww0123456789abcdef")]
KeyId = Annotated[str, _matching("[A-Za-z0-9_.-]{1,32}", "1 to 32 letters, digits, '.', '_' or '-'")]
Prefix = Annotated[str, _matching("[A-Za-z0-9_.:-]{1,64}", "1 to 64 letters, digits, '.', '_', ':' or '-'")]
MiniProgramId = Annotated[str, _matching("[A-Za-z0-9_-]{1,64}", "an appid, such as wx0123456789abcdef")]
Identity = Annotated[str, _matching("(spiffe://|dns:).+", "spiffe://… or dns:…")]
TokenDigest = Annotated[
    str,
    _matching("[0-9a-f]{64}", "a SHA-256 in 64 hexadecimal digits, lower case"),
    AfterValidator(_token_digest),
]
Address = Annotated[str, AfterValidator(_address)]
WritablePlace = Annotated[str, _matching(r"[^\x00]+", 'a path, or "stdout"')]
FileMode = Annotated[str, AfterValidator(_file_mode)]
ReadablePath = Annotated[str, AfterValidator(_readable)]
Network = Annotated[str, AfterValidator(_network)]
Url = Annotated[str, AfterValidator(_url)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
ChildKind = Literal["corp_group", "supply_chain"]
