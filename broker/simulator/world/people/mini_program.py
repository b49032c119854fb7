"""The mini-program's side: what it encrypts or signs with the session_key for its server."""

import base64
import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

APP_ID = "wx0simulated0000001"
"""The mini-program's appid in watermarks."""


def encrypt_data(session_key: str, fields: Mapping[str, object], iv: bytes) -> tuple[str, str]:
    """Return encryptedData and iv of these fields in base64, as the mini-program gets them."""
    plain = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    padder = PKCS7(AES.block_size).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(AES(base64.b64decode(session_key)), CBC(iv)).encryptor()
    encrypted = encryptor.update(padded) + encryptor.finalize()
    return base64.b64encode(encrypted).decode(), base64.b64encode(iv).decode()


def sign_data(session_key: str, raw_data: str) -> str:
    """Return the signature of rawData."""
    # WeChat prescribes SHA-1.
    return hashlib.sha1((raw_data + session_key).encode(), usedforsecurity=False).hexdigest()
