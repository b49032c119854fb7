"""A second implementation of WeCom's cryptography, to test the broker's against (wecom-api A4, C2)."""

import base64
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

RANDOM_BYTES = 16
_AES_KEY = re.compile("[A-Za-z0-9+/]{43}")
_PADDED_BITS = 256
_LENGTH_BYTES = 4
_HEAD_BYTES = RANDOM_BYTES + _LENGTH_BYTES


@dataclass(frozen=True, slots=True)
class CallbackKeys:
    """Hold Token and EncodingAESKey of a callback. Raises `ValueError` for invalid ones."""

    token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError("a Token is not empty")
        if not _AES_KEY.fullmatch(self.encoding_aes_key):
            raise ValueError("an EncodingAESKey has 43 letters, digits, '+' and '/'")

    def sign(self, timestamp: str, nonce: str, encrypted: str) -> str:
        """Return the msg_signature."""
        return _sha1("".join(sorted([self.token, timestamp, nonce, encrypted])))

    def seal(self, message: bytes, receive_id: str, random: bytes) -> str:
        """Return the message encrypted, in base64; `random` has `RANDOM_BYTES`."""
        length = len(message).to_bytes(_LENGTH_BYTES, "big")
        padder, encryptor = PKCS7(_PADDED_BITS).padder(), self._cipher().encryptor()
        padded = padder.update(random + length + message + receive_id.encode()) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def open(self, encrypted: str) -> tuple[bytes, str]:
        """Return the message and the receiveid. Raises `ValueError` for what these keys did not seal."""
        unpadder, decryptor = PKCS7(_PADDED_BITS).unpadder(), self._cipher().decryptor()
        padded = decryptor.update(base64.b64decode(encrypted, validate=True)) + decryptor.finalize()
        plain = unpadder.update(padded) + unpadder.finalize()
        end = _HEAD_BYTES + int.from_bytes(plain[RANDOM_BYTES:_HEAD_BYTES], "big")
        if end > len(plain):
            raise ValueError("the message is shorter than its length says")
        return plain[_HEAD_BYTES:end], plain[end:].decode()

    def _cipher(self) -> Cipher[CBC]:
        # The last character may have spare bits that are not zero.
        key = base64.b64decode(self.encoding_aes_key + "=")
        return Cipher(AES(key), CBC(key[: AES.block_size // 8]))


def page_signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Return the signature that a page gives to the JS-SDK; WeCom ignores the URL from '#' on."""
    page, _, _ = url.partition("#")
    return _sha1(f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}")


def _sha1(text: str) -> str:
    # WeCom prescribes SHA-1.
    return hashlib.sha1(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
