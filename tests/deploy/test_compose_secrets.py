"""What docker-compose.yml makes for itself: Redis with TLS, a password, and a user with few rights."""

import asyncio
import re
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from tests.contract.redis.test_access import redis_with
from tests.deploy.files import DEPLOY, ROOT
from tests.deploy.test_redis_user import rights

COMPOSE = (ROOT / "docker-compose.yml").read_text()


def make(folder: Path) -> tuple[Path, Path]:
    """Run it as the container does; return the folder of the brokers and that of Redis."""
    brokers, redis = folder / "brokers", folder / "redis"
    for place in (brokers, redis):
        place.mkdir(exist_ok=True, mode=0o750)
    command = [sys.executable, "-I", str(DEPLOY / "compose_secrets.py"), str(brokers), str(redis)]
    subprocess.run(command, check=True)
    return brokers, redis


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for place in make(tmp_path) for path in place.iterdir()}

    first = contents()

    assert {"seal-key", "redis-url", "redis.crt", "redis.key", "users.acl"} == set(first)
    assert first == contents()


def test_a_seal_key_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "brokers").mkdir()
    (tmp_path / "brokers" / "seal-key").write_text("made by an older version")

    brokers, _ = make(tmp_path)

    assert "made by an older version" == (brokers / "seal-key").read_text()


def test_what_brokers_get_is_theirs_alone_and_redis_can_read_its_own(tmp_path: Path) -> None:
    brokers, redis = make(tmp_path)

    assert {0o600} == {path.stat().st_mode & 0o777 for path in brokers.iterdir()}
    assert 0o755 == redis.stat().st_mode & 0o777
    assert {0o644} == {path.stat().st_mode & 0o777 for path in redis.iterdir()}


async def test_the_certificate_is_that_of_the_host_in_the_address(tmp_path: Path) -> None:
    brokers, redis = make(tmp_path)
    address = urlsplit((brokers / "redis-url").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(redis / "redis.crt", redis / "redis.key")
    client = ssl.create_default_context(cafile=address.query.removeprefix("ssl_ca_certs="))

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname=address.hostname
        )
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="another")

    assert "rediss" == address.scheme
    assert f"\n  {address.hostname}:\n" in COMPOSE


def test_redis_lets_in_the_brokers_user_with_its_rights_and_whoever_pings(tmp_path: Path) -> None:
    brokers, redis = make(tmp_path)
    password = str(urlsplit((brokers / "redis-url").read_text()).password)
    users = (redis / "users.acl").read_text().splitlines()
    with redis_with(tmp_path / "server", *users[1:]) as server:
        with Redis(port=server.port, username="broker", password=password) as broker:
            assert broker.set("wecom-broker:x", "1")
            with pytest.raises(NoPermissionError):
                broker.set("another:x", "1")
        with Redis(port=server.port, username="health", password="any") as health:
            assert health.ping()
            with pytest.raises(NoPermissionError):
                health.get("wecom-broker:x")
        with (
            Redis(port=server.port, username="broker", password="another") as wrong,
            pytest.raises(AuthenticationError),
        ):
            wrong.ping()
        with Redis(port=server.port) as nobody, pytest.raises(AuthenticationError):
            nobody.ping()

    assert users[0] == "user default off"
    assert sorted(rights()) == sorted(users[2].split()[4:])


def test_redis_has_no_port_without_tls_and_uses_what_was_made(tmp_path: Path) -> None:
    _, redis = make(tmp_path)
    command = COMPOSE.partition("      redis-server ")[2].partition("    read_only")[0]

    assert "--port 0 --tls-port 6379" in command
    assert {path.name for path in redis.iterdir()} == set(re.findall(r"/secrets/(\S+)", command))
    assert "- redis-secrets:/secrets:ro" in COMPOSE
    assert "[python, -I, /make_secrets.py, /var/lib/wecom-broker, /run/wecom-broker]" in COMPOSE
