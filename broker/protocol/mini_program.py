"""What a mini-program (小程序) sends under its session_key: encrypted data, and signed raw data.

AES-128-CBC, PKCS#7 and JSON inside; everything else fails with the same error and message, so that an
attacker who tries ciphertexts learns nothing from a failure: there is no padding oracle.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from broker.domain.errors import DataRejected
from broker.domain.secret import Secret

BLOCK = 16
CLOCKS_MAY_DIFFER = timedelta(minutes=1)
"""How far in the future a watermark may be."""


def decrypt_data(session_key: Secret, encrypted_data: str, iv: str) -> bytes:
    """Return the JSON object that was encrypted, as its bytes. Raises `DataRejected`, always the same."""
    plaintext = _decrypted(_decoded(session_key.reveal()), _decoded(encrypted_data), _decoded(iv))
    # A wrong iv garbles only the first block and leaves the padding valid: only the JSON shows it.
    if plaintext is None or _object(plaintext) is None:
        raise _does_not_fit()
    return plaintext


def check_watermark(plaintext: bytes, app_id: str | None, max_age: timedelta | None, now: datetime) -> None:
    """Accept data of that mini-program and of that age; None = any. Raises `DataRejected`."""
    if app_id is None and max_age is None:
        return
    fields = _object(plaintext)
    watermark = fields.get("watermark") if fields is not None else None
    if not isinstance(watermark, dict):
        raise DataRejected("the data has no watermark")
    if app_id is not None and watermark.get("appid") != app_id:
        raise DataRejected("the data is of another mini-program")
    if max_age is not None and not _is_recent(watermark.get("timestamp"), max_age, now):
        raise DataRejected("the data is too old")


def signature_valid(session_key: Secret, raw_data: str, signature: str) -> bool:
    """Return whether the signature is lower-hex SHA-1 of the raw data followed by the session_key."""
    text = (raw_data + session_key.reveal()).encode(errors="surrogatepass")
    # WeChat prescribes SHA-1.
    expected = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode(errors="surrogatepass"))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _decrypted(key: bytes | None, data: bytes | None, iv: bytes | None) -> bytes | None:
    if key is None or data is None or iv is None:
        return None
    if len(key) != BLOCK or len(iv) != BLOCK or not data or len(data) % BLOCK:
        return None
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    return _unpadded(decryptor.update(data) + decryptor.finalize())


def _unpadded(padded: bytes) -> bytes | None:
    length = padded[-1]
    padding = bytes([length]) * length
    if 1 <= length <= BLOCK and hmac.compare_digest(padding, padded[-length:]):
        return padded[:-length]
    return None


def _object(plaintext: bytes) -> dict[str, object] | None:
    try:
        # Names sometimes have control characters. Bytes that are not UTF-8 mean a wrong key or iv.
        parsed = json.loads(plaintext.decode(), strict=False)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _is_recent(timestamp: object, max_age: timedelta, now: datetime) -> bool:
    if not isinstance(timestamp, int) or isinstance(timestamp, bool):
        return False
    age = int(now.timestamp()) - timestamp
    return -CLOCKS_MAY_DIFFER.total_seconds() <= age <= max_age.total_seconds()


def _does_not_fit() -> DataRejected:
    return DataRejected("the data does not fit the session")
