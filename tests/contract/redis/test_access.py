"""Who may use the Redis: users, passwords, TLS; and none of it is told to anybody."""

import asyncio
import base64
import ipaddress
import logging
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis

from broker.adapters.redis.store import RedisStore
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Durability
from broker.domain.ports.store import Notice, NoticeKind
from tests.contract.making import FAR, LONG, NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.sealed import SealedStore
from tests.contract.waiting import Stopwatch, eventually, listening
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis
from tests.kit.time_bounds import check_took

PASSWORD = "p@ss/w:rd?#%"
USER = f"broker:{quote(PASSWORD, safe='')}"

LEAST = (
    "~wecom-broker:* &wecom-broker:notices -@all"
    # What the broker asks for itself ...
    " +ping +time +hmget +get +evalsha +script|load +subscribe +publish"
    # ... and what its scripts do.
    " +set +del +incr +hget +hset +pttl +pexpire +pexpireat +zadd +zrange +zrangebyscore +zrem +zscore"
    # How it knows that what must not be lost is on disk.
    " +info +waitaof"
)
"""The least that the broker's user may be given; `docs/` may quote it."""


def redis_with(folder: Path, *users: str) -> RedisServer:
    folder.mkdir(exist_ok=True)
    (folder / "users.acl").write_text("\n".join(["user default off", *users]) + "\n")
    return RedisServer(folder, "--aclfile", str(folder / "users.acl"), append_only=True)


def url(server: RedisServer, user: str = USER) -> str:
    return f"redis://{user}@127.0.0.1:{server.port}/0"


@pytest.fixture
def guarded_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_with(tmp_path / "redis", f"user broker on >{PASSWORD} {LEAST}") as server:
        yield server


async def use_everything(store: RedisStore) -> str:
    """Do all that a broker does; return what a durable write lacks: it counts without proof."""
    async with listening(store) as ear:
        await store.ping()
        lease = await taken(store)
        assert await store.renew(lease)
        assert await store.commit(record(lease.fence), lease)
        assert Notice(NoticeKind.COMMITTED, NAME, lease.fence) == await ear.next()
        assert (lease.fence, b"payload") == await held(store)
        assert await store.replace(record(lease.fence, b"other"))
        assert await store.offer(record(lease.fence + 1))
        await store.forget(NAME, lease.fence + 1)
        await store.release(await taken(store))
        assert 1 == await store.count("calls", LONG)
        assert {"calls": 1} == await store.counts(["calls"])
        assert await store.offer(replace(record(1, name="code"), durable=True))
        await store.enlist("corps", "ww1", datetime.now(UTC) - LONG)
        await store.enlist("corps", "ww2", FAR)
        assert ["ww2"] == await store.members("corps", 0, 2)
        await store.strike("corps", "ww2")
        notices = [await ear.next() for _ in range(4)]
        # Members of a cluster send at their own pace: only notices of one name have an order.
        assert [NoticeKind.COMMITTED, NoticeKind.FORGOTTEN, NoticeKind.RELEASED] == [
            notice.kind for notice in notices if notice.name == NAME
        ]
        assert Notice(NoticeKind.COMMITTED, "code", 1) in notices
    return await store.durability_problem()


@pytest.mark.usefixtures("patient_client")
async def test_the_least_permissions_are_enough(guarded_redis: RedisServer) -> None:
    notebook = Notebook()
    async with connect_redis(url(guarded_redis)) as client:
        assert "" == await use_everything(RedisStore(client, "wecom-broker", SystemClock(), notebook))

    assert [] == notebook.told
    assert [(Durability.PROVEN, "")] == notebook.durable_writes


@pytest.mark.slow
async def test_none_of_the_least_permissions_is_too_much(tmp_path: Path) -> None:
    permissions = [word for word in LEAST.split() if word.startswith("+")]
    users = {
        permission: " ".join(word for word in LEAST.split() if word != permission)
        for permission in permissions
    }
    users[""] = LEAST  # to prove that nothing else is missing
    lines = [f"user without{permission} on >{PASSWORD} {less}" for permission, less in users.items()]
    enough = []
    with redis_with(tmp_path / "redis", *lines) as server:
        for number, permission in enumerate(users):
            user = f"{quote('without' + permission)}:{quote(PASSWORD, safe='')}"
            async with connect_redis(url(server, user)) as client:
                store = RedisStore(client, f"wecom-broker:{number}", SystemClock(), Notebook())
                store._keys.channel = "wecom-broker:notices"
                try:
                    async with asyncio.timeout(1):
                        problem = await use_everything(store)
                except (StoreUnavailable, TimeoutError):
                    continue
                if problem:
                    assert permission in ("+info", "+waitaof")
                    assert "NOPERM" in problem
                else:
                    enough.append(permission)

    assert [""] == enough


async def test_a_user_who_may_not_listen_is_never_connected(tmp_path: Path) -> None:
    deaf = LEAST.replace("&wecom-broker:notices", "&another:notices")
    notebook = Notebook()
    with redis_with(tmp_path / "redis", f"user broker on >{PASSWORD} {deaf}") as server:
        async with connect_redis(url(server)) as client:
            with pytest.raises(TimeoutError):
                async with (
                    asyncio.timeout(0.6),
                    listening(RedisStore(client, "wecom-broker", SystemClock(), notebook)),
                ):
                    pass

    assert ["lost"] == notebook.told
    assert "permission" in str(notebook.failures[0])


async def test_another_prefix_is_out_of_reach(guarded_redis: RedisServer) -> None:
    async with connect_redis(url(guarded_redis)) as client:
        with pytest.raises(StoreUnavailable, match=r"permission|NOPERM"):
            await RedisStore(client, "another", SystemClock(), Notebook()).offer(record(1))


@pytest.mark.parametrize(
    "user",
    ["broker:wrong-password", ":wrong-password", "nobody:wrong-password", ""],
    ids=["password", "default", "user", "none"],
)
async def test_a_wrong_password_is_refused_at_once(guarded_redis: RedisServer, user: str) -> None:
    async with connect_redis(url(guarded_redis, user)) as client:
        store = RedisStore(client, "wecom-broker", SystemClock(), Notebook())
        watch = Stopwatch()
        with pytest.raises(StoreUnavailable) as refusal:
            await store.ping()

    check_took(watch.seconds, 1)
    assert "wrong-password" not in f"{refusal.value} {refusal.value.metadata}"


@pytest.mark.parametrize("state", ["wrong", "dead", pytest.param("hung", marks=pytest.mark.slow)])
async def test_no_password_is_in_an_error_or_a_log(
    tmp_path: Path, state: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    password = "s3cret-" + state
    notebook = Notebook()
    with redis_with(
        tmp_path / "redis", f"user broker on >{'x' if state == 'wrong' else password} {LEAST}"
    ) as server:
        async with connect_redis(url(server, f"broker:{password}")) as client:
            store = RedisStore(client, "wecom-broker", SystemClock(), notebook)
            if state == "dead":
                server.kill()
            if state == "hung":
                server.pause()
            with pytest.raises(StoreUnavailable) as refusal:
                await store.ping()
            in_vain = asyncio.ensure_future(anext(store.notices()))
            await eventually(notebook.has_failures)
            in_vain.cancel()
            await asyncio.wait([in_vain])
            if state == "hung":
                server.resume()

    output = capfd.readouterr()
    error = refusal.value
    said = [str(error), repr(error), repr(error.__cause__), str(error.metadata), repr(client)]
    said += [caplog.text, output.out, output.err, *map(str, notebook.failures)]
    assert notebook.failures
    assert not [text for text in said if "s3cret" in text]


async def test_nothing_of_a_sealed_payload_is_in_a_key_a_value_or_a_notice(redis_server: RedisServer) -> None:
    secret = b"the-token-of-crm"

    async def dump(redis: Redis) -> list[bytes]:
        fields: dict[Any, dict[Any, Any]] = {key: await redis.hgetall(key) for key in await redis.keys("*")}
        return [*fields, *[part for pairs in fields.values() for pair in pairs.items() for part in pair]]

    async with connect_redis(redis_server.url) as client:
        await client.run(lambda redis: redis.flushall())
        seal = Seal([SealKey("k1", os.urandom(32))])
        store = SealedStore(RedisStore(client, "test", SystemClock(), Notebook()), seal, Notebook())
        async with listening(store) as ear:
            lease = await taken(store)
            await store.commit(record(lease.fence, secret), lease)
            await store.replace(record(lease.fence, secret))
            await store.offer(record(1, secret, "another"))
            told = repr([await ear.next() for _ in range(2)]).encode()
        dumped = await client.run(dump)
        held_now = await held(store)

    written = b" ".join([told, *dumped])
    assert (lease.fence, secret) == held_now
    assert NAME.encode() in written, "the test looks at the right bytes"
    for visible in (secret, base64.b64encode(secret), secret.hex().encode()):
        assert visible not in written


class Authority:
    """A CA for one test; the server's certificate is for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name.from_rfc4514_string("CN=CA of the tests")
        root = self._certificate(name, name, key, key, x509.BasicConstraints(ca=True, path_length=0))
        server_key = ec.generate_private_key(ec.SECP256R1())
        server_name = x509.Name.from_rfc4514_string("CN=redis")
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        server = self._certificate(server_name, name, server_key, key, address)
        self.root = folder / "ca.pem"
        self.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self._server = folder / "server.pem"
        self._server.write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + server.public_bytes(serialization.Encoding.PEM)
        )

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server)
        return context

    @staticmethod
    def _certificate(
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer_key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=False)
        )
        return builder.sign(issuer_key, hashes.SHA256())


@asynccontextmanager
async def tls_before(server: RedisServer, authority: Authority) -> AsyncIterator[int]:
    """End TLS before the server, as stunnel does: the server of the wheel is built without it."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server_context())
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def test_it_works_over_tls(tmp_path: Path, guarded_redis: RedisServer) -> None:
    authority = Authority(tmp_path / "ca")
    async with tls_before(guarded_redis, authority) as port:
        address = f"rediss://{USER}@127.0.0.1:{port}/0?ssl_ca_certs={authority.root}"
        async with connect_redis(address) as client:
            await use_everything(RedisStore(client, "wecom-broker", SystemClock(), Notebook()))


async def test_a_server_of_an_unknown_authority_gets_no_password(
    tmp_path: Path, guarded_redis: RedisServer
) -> None:
    authority, another = Authority(tmp_path / "ca"), Authority(tmp_path / "another")
    async with tls_before(guarded_redis, authority) as port:
        for query in (f"?ssl_ca_certs={another.root}", ""):
            async with connect_redis(f"rediss://{USER}@127.0.0.1:{port}/0{query}") as client:
                with pytest.raises(
                    StoreUnavailable, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"
                ):
                    await client.seconds()


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path, guarded_redis: RedisServer) -> None:
    authority = Authority(tmp_path / "ca")
    async with tls_before(guarded_redis, authority) as port:
        address = f"rediss://{USER}@localhost:{port}/0?ssl_ca_certs={authority.root}"
        async with connect_redis(address) as client:
            with pytest.raises(StoreUnavailable, match=r"[Hh]ostname mismatch"):
                await client.seconds()


async def test_a_missing_authority_file_is_unavailable(guarded_redis: RedisServer) -> None:
    async with connect_redis(
        f"rediss://{USER}@127.0.0.1:{guarded_redis.port}/0?ssl_ca_certs=missing.pem"
    ) as client:
        with pytest.raises(StoreUnavailable):
            await client.seconds()
