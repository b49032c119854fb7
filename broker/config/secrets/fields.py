"""Secrets of the configuration: a string, or where one is read, becomes a `Secret`.

Shells, editors and consoles add line ends, blanks and byte order marks: every secret is trimmed of them.
"""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from broker.config.secrets.command import output_of
from broker.config.text import NotUtf8, decode, read_text
from broker.domain.secret import Secret

SEAL_KEY_BYTES = 32
PADDING = re.compile(r"\A[\s\ufeff\u200b]+|[\s\ufeff\u200b]+\Z")
NEVER_IN_A_SECRET = (
    ("a blank", re.compile(r"\s")),
    ("a quotation mark", re.compile(r"[\"'`]")),
    ("a control character", re.compile(r"[\x00-\x1f\x7f]")),
    ("a character that is not ASCII", re.compile(r"[^\x00-\x7f]")),
)
"""WeCom's secrets are letters, digits, '-' and '_'. Wrong ones get the address banned: these are not sent."""


def resolve(given: object) -> Secret:
    """Return the secret, trimmed. Raises `ValueError`, which never shows it."""
    match given:
        case Secret():
            return given
        case str():
            value = given
        case {"env": str(name), **rest} if not rest:
            value = _from_environment(name)
        case {"file": str(path), **rest} if not rest:
            value = _from_file(path)
        case {"command": [str(), *_] as command, **rest} if not rest and all(
            isinstance(word, str) for word in command
        ):
            value = output_of(command)
        case _:
            raise ValueError(
                'must be a string, { env = "NAME" }, { file = "path" }'
                ' or { command = ["program", "argument"] }'
            )
    value = PADDING.sub("", value)
    if not value:
        raise ValueError("is empty")
    return Secret(value)


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise ValueError(f"environment variable {name} is not set")
    try:
        # Decoded again as UTF-8: Python decoded it by the locale.
        return decode(os.fsencode(os.environ[name]))
    except NotUtf8 as problem:
        raise ValueError(f"environment variable {name} {problem}") from None


def _from_file(path: str) -> str:
    try:
        return read_text(Path(path))
    except NotUtf8 as problem:
        raise ValueError(f"{path} {problem}") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _app_secret(secret: Secret) -> Secret:
    for what, pattern in NEVER_IN_A_SECRET:
        if pattern.search(secret.reveal()):
            raise ValueError(f"has {what}, which no secret of WeCom's has")
    return secret


def _seal_key(secret: Secret) -> Secret:
    try:
        key = base64.b64decode(secret.reveal(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != SEAL_KEY_BYTES:
        raise ValueError(f"must be base64 of {SEAL_KEY_BYTES} bytes; `wecom-broker keys new` makes one")
    return secret


def secret_matching(pattern: str, what: str) -> AfterValidator:
    """Return a validator that refuses a secret of another form, without showing it."""

    def check(secret: Secret) -> Secret:
        if not re.fullmatch(pattern, secret.reveal()):
            raise ValueError(f"must be {what}")
        return secret

    return AfterValidator(check)


AnySecret = Annotated[Secret, BeforeValidator(resolve)]
AppSecret = Annotated[AnySecret, AfterValidator(_app_secret)]
SealKey = Annotated[AnySecret, AfterValidator(_seal_key)]
