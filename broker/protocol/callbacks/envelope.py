"""The envelope of a callback (回调): signed, sealed with AES, for one receiver (wecom-api C1-C3).

What is sealed is random(16) ‖ length of the message (4 bytes, big endian) ‖ message ‖ receiveid, filled up
to whole blocks of 32, by AES-256-CBC, in base64. The signature is the SHA-1 of Token, timestamp, nonce and
what is sealed, sorted and joined.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.domain.secret import Secret

KEY = re.compile(r"[A-Za-z0-9+/]{43}")
TIMESTAMP = re.compile(r"[0-9]{1,16}")
SECONDS = re.compile(r"[1-9][0-9]{9}")
"""A timestamp as WeCom writes it, from 2001 to 2286."""
LONGEST_NONCE = 63
"""The signed parts are joined without a separator, so a long nonce could absorb the head of the sealed part.
It is too short to absorb three AES blocks, 64 letters of base64; fewer blocks end within a letter."""
LONGEST_PADDING = 32
PADDING = PKCS7(8 * LONGEST_PADDING)
"""WeCom pads to blocks of 32 bytes, though AES has blocks of 16 (wecom-api G10)."""
AES_BLOCK = 16
RANDOM = 16
HEAD = RANDOM + 4


@dataclass(frozen=True)
class CallbackKeys:
    """The secrets that an app and WeCom share. Raises `ValueError` for an illegal Token or EncodingAESKey."""

    token: Secret
    encoding_aes_key: Secret

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError("a Token is not empty: anybody could sign")
        _ = self.aes_key

    @cached_property
    def aes_key(self) -> bytes:
        """Return the 32 bytes of the key.

        The last letter may carry spare bits that are not zero: consoles make such keys (wecom-api C2, G11).
        """
        encoded = self.encoding_aes_key.reveal()
        if not KEY.fullmatch(encoded):
            raise ValueError("an EncodingAESKey has 43 letters, digits, '+' and '/'")
        return base64.b64decode(encoded + "=")

    def cipher(self) -> Cipher[modes.CBC]:
        """Return AES-256-CBC with WeCom's initialisation vector."""
        return Cipher(algorithms.AES(self.aes_key), modes.CBC(self.aes_key[:AES_BLOCK]))


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in an envelope."""

    message: bytes
    receive_id: str
    random: bytes = field(default=b"", repr=False, compare=False)
    """What stood before the message."""


def sign(token: Secret, timestamp: str, nonce: str, encrypted: str) -> str:
    """Return the msg_signature."""
    parts = sorted([token.reveal(), timestamp, nonce, encrypted])
    return hashlib.sha1("".join(parts).encode("utf-8", "surrogatepass")).hexdigest()  # noqa: S324 - WeCom's choice


def check_signature(keys: CallbackKeys, signature: str, timestamp: str, nonce: str, encrypted: str) -> None:
    """Return if WeCom signed this, in constant time. Raises `EnvelopeRejected`.

    It also checks that the timestamp is a number; the caller checks whether it is recent.
    """
    expected = sign(keys.token, timestamp, nonce, encrypted)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass")):
        raise EnvelopeRejected(EnvelopeProblem.SIGNATURE, "msg_signature is not the one of this app's Token")
    if len(nonce) > LONGEST_NONCE:
        raise EnvelopeRejected(EnvelopeProblem.SIGNATURE, f"the nonce is longer than {LONGEST_NONCE}")
    if not TIMESTAMP.fullmatch(timestamp):
        raise EnvelopeRejected(EnvelopeProblem.TIMESTAMP, "the timestamp is not a number of seconds")


def other_times(timestamp: str, nonce: str) -> set[int]:
    """Return the times that WeCom may have signed in place of the timestamp.

    Its signature sorts the parts and joins them without a separator: it is the same if timestamp and nonce
    change places, or if digits move from one to the other.
    """
    joined, length = "".join(sorted((timestamp, nonce))), len("1700000000")
    readings = ((nonce, timestamp), (joined[:length], joined[length:]), (joined[-length:], joined[:-length]))
    return {
        int(time)
        for time, other in readings
        if SECONDS.fullmatch(time)
        and other
        and time != timestamp
        and "".join(sorted((time, other))) == joined
    }


def open_sealed(keys: CallbackKeys, encrypted: str) -> Opened:
    """Open what was sealed; check the signature first. Raises `EnvelopeRejected`."""
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeRejected(EnvelopeProblem.ENCODING, "what is sealed is not base64") from None
    if not sealed or len(sealed) % AES_BLOCK:
        raise EnvelopeRejected(EnvelopeProblem.ENCODING, "what is sealed is not whole blocks")
    decryptor = keys.cipher().decryptor()
    plaintext = _without_padding(decryptor.update(sealed) + decryptor.finalize())
    end = HEAD + int.from_bytes(plaintext[RANDOM:HEAD], "big")
    if end > len(plaintext):
        raise EnvelopeRejected(EnvelopeProblem.LENGTH, "the message is shorter than it says")
    try:
        return Opened(plaintext[HEAD:end], plaintext[end:].decode(), plaintext[:RANDOM])
    except UnicodeDecodeError:
        raise EnvelopeRejected(EnvelopeProblem.RECEIVE_ID, "the receiver's id is not text") from None


def seal(keys: CallbackKeys, message: bytes, receive_id: str, random: bytes) -> str:
    """Return the message sealed; `random` is 16 unguessable bytes."""
    plaintext = random + len(message).to_bytes(4, "big") + message + receive_id.encode()
    encryptor = keys.cipher().encryptor()
    return base64.b64encode(encryptor.update(pad(plaintext)) + encryptor.finalize()).decode()


def pad(data: bytes) -> bytes:
    """Return the data filled up to whole blocks of 32; whole blocks get one more."""
    padder = PADDING.padder()
    return padder.update(data) + padder.finalize()


def _without_padding(padded: bytes) -> bytes:
    # The library's unpadder would refuse data that is padded to blocks of 16, as in ordinary PKCS#7.
    count = padded[-1]
    if not 1 <= count <= LONGEST_PADDING or padded[-count:] != bytes([count]) * count:
        raise EnvelopeRejected(EnvelopeProblem.PADDING, "the padding is broken: another EncodingAESKey?")
    return padded[:-count]
