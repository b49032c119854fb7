"""A secret value that does not leak by accident."""

import hashlib
import hmac
from typing import Never


class Secret:
    """Hold a secret, token, ticket or key; only `reveal` shows it, for code that sends, seals or uses it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def fingerprint(self) -> str:
        """Return a short fingerprint, which only tells two secrets apart, for example in an audit record."""
        return hashlib.sha256(self._value.encode()).hexdigest()[:12]

    def digest(self) -> str:
        """Return 40 hexadecimal digits that stand for a long secret in names, and do not reveal it."""
        return hashlib.sha256(self._value.encode()).hexdigest()[:40]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is not pickled")
