"""The random values of this world."""

import base64
import random

_TOKEN_BYTES = 160
_TICKET_BYTES = 64
_CODE_BYTES = 32
_AUTH_CODE_BYTES = 64
_USER_TICKET_BYTES = 64
_KEY_BYTES = 16


class Randomness:
    """Make tokens, tickets, codes and keys."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def randbytes(self, size: int) -> bytes:
        """Return `size` random bytes."""
        return self._source.randbytes(size)

    def token(self) -> str:
        """Return an access_token."""
        return self._text(_TOKEN_BYTES)

    def ticket(self) -> str:
        """Return a jsapi_ticket."""
        return self._text(_TICKET_BYTES)

    def code(self) -> str:
        """Return a login code, a permanent code, or a media_id."""
        return self._text(_CODE_BYTES)

    def auth_code(self) -> str:
        """Return an auth_code, which has 64 bytes or more."""
        return self._text(_AUTH_CODE_BYTES)

    def user_ticket(self) -> str:
        """Return a user_ticket."""
        return self._text(_USER_TICKET_BYTES)

    def session_key(self) -> str:
        """Return a session_key."""
        return base64.b64encode(self.randbytes(_KEY_BYTES)).decode()

    def hint(self, now: float) -> str:
        """Return the digits that WeCom puts into an errmsg."""
        return f"{int(now)}{self._source.randrange(10**8):08d}"

    def _text(self, size: int) -> str:
        return base64.urlsafe_b64encode(self.randbytes(size)).decode().rstrip("=")
