"""Make what docker-compose.yml keeps secret, once: `compose_secrets.py BROKERS REDIS`, two folders.

BROKERS gets the seal key, and the address of Redis with its password; REDIS its certificate, key and users.
"""

import base64
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "redis"
LASTS = timedelta(days=825)
RIGHTS = (
    "~wecom-broker:* &wecom-broker:notices -@all"
    " +ping +time +hmget +get +evalsha +script|load +subscribe +publish +set +del +incr +hget +hset +pttl"
    " +pexpire +pexpireat +exists +hdel +hexists +hincrby +unlink +xadd +xrange +xtrim +zadd +zrange"
    " +zrangebylex +zrangebyscore +zlexcount +zrem +zscore +type +rename +xdel +xrevrange +info +waitaof"
)
"""As docs/operations.md lists them."""


def make(brokers: Path, redis: Path) -> None:
    """Make all of it. The address is written last, and tells that all is there."""
    address = brokers / "redis-url"
    if address.exists():
        return
    password = secrets.token_urlsafe(32)
    certificate, private_key = pair()
    if not (brokers / "seal-key").exists():
        write(brokers / "seal-key", base64.b64encode(secrets.token_bytes(32)), 0o600)
    write(brokers / "redis.crt", certificate, 0o600)
    # Redis runs as another user, and its container alone mounts this folder.
    redis.chmod(0o755)
    users = f"user default off\nuser health on nopass -@all +ping\nuser broker on >{password} {RIGHTS}\n"
    write(redis / "users.acl", users.encode(), 0o644)
    write(redis / "redis.key", private_key, 0o644)
    write(redis / "redis.crt", certificate, 0o644)
    url = f"rediss://broker:{password}@{HOST}:6379/0?ssl_ca_certs={brokers / 'redis.crt'}"
    write(address, url.encode(), 0o600)


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file in one step."""
    unfinished = path.with_name("unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode)
    unfinished.chmod(mode)
    unfinished.write_bytes(content)
    unfinished.replace(path)


def pair() -> tuple[bytes, bytes]:
    """Return a certificate for Redis, its own authority, and the key; both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(f"CN={HOST}")
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LASTS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private_key


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:]))
