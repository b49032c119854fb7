"""One-time codes: WeCom reads a code once, whatever the outcome."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import BrokerError, InvalidRequest, TokenRejected, WecomUnavailable
from broker.domain.secret import Secret
from broker.usecases.credentials.engine import PAUSE, CredentialEngine

CODE = re.compile(r"[\x21-\x7e]{1,512}")
Answer = TypeVar("Answer")


def read_code(field: str, code: str) -> Secret:
    """Return a code that may be sent. Raises `InvalidRequest`."""
    if not CODE.fullmatch(code):
        raise InvalidRequest(field, "must be 1 to 512 visible characters")
    return Secret(code)


async def spend_code(
    engine: CredentialEngine, key: CredentialKey, call: Callable[[Credential], Awaitable[Answer]]
) -> Answer:
    """Make a call that consumes a code, once; again only if WeCom refused the token, not the code.

    `code_unread` of what it raises holds for all that was sent, and is true where nothing was.
    """
    may_be_read = False

    async def with_token(token: Credential) -> Answer:
        nonlocal may_be_read
        try:
            return await call(token)
        except BrokerError as error:
            may_be_read = not error.code_unread
            if isinstance(error, TokenRejected) and may_be_read:
                raise WecomUnavailable("the code was not repeated", PAUSE, **error.metadata) from None
            raise

    try:
        return await engine.using(key, with_token)
    except BrokerError as error:
        error.code_unread = not may_be_read
        raise
