"""The search for secrets where none may be."""

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Shorter texts are found by accident."""


def forms(secret: str | bytes) -> set[bytes]:
    """Return what a secret may look like where it leaks: plain, escaped for a URL or JSON, hex, base64."""
    value = secret.encode() if isinstance(secret, str) else secret
    assert len(value) >= SHORTEST
    text = value.decode(errors="replace")
    return {
        value,
        quote(value, safe="").encode(),
        quote_plus(value).encode(),
        json.dumps(text)[1:-1].encode(),
        repr(value)[2:-1].encode(),
        value.hex().encode(),
        *_in_base64(value),
    }


def _in_base64(value: bytes) -> set[bytes]:
    """Return what all base64 has in common that has the value somewhere inside."""
    found = set()
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(value)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(before) + value)[first:last])
    return found


def leaks(needles: Mapping[str, Iterable[bytes]], haystacks: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """Return which kind of secret was found in which place."""
    return {
        (kind, place)
        for kind, secrets in needles.items()
        for needle in secrets
        for place, haystack in haystacks.items()
        if needle in haystack
    }
