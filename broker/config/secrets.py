"""Secrets of the configuration: a string, `{ env = "NAME" }` or `{ file = "path" }` becomes a `Secret`."""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from broker.domain.secret import Secret

SEAL_KEY_BYTES = 32


def resolve(given: object) -> Secret:
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
SealKey = Annotated[AnySecret, AfterValidator(_seal_key)]
