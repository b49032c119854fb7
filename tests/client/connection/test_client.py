"""The client as an object: its public names, its addresses, its secrets, its end."""

from __future__ import annotations

import asyncio
import gc
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
import wecom_broker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wecom_broker import AccessToken, Broker, Target, Tls
from wecom_broker.errors import BrokerClosed, BrokerUnreachable
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from tests.client.fake_broker import FakeBroker

BEARER = "hush"


def self_signed() -> tuple[bytes, bytes]:
    """Return a certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker.test")])
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("broker.test")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(minutes=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private_key


class TestNames:
    def test_the_public_names_are_those_exported(self):
        own = {
            name
            for name, value in vars(wecom_broker).items()
            if not name.startswith("_") and getattr(value, "__module__", "").startswith("wecom_broker")
        }

        assert own | {"errors"} == set(wecom_broker.__all__)
        assert [
            "AccessToken",
            "AgentConfigSignature",
            "ApiAnswer",
            "AppShare",
            "AppShareChange",
            "AppShareSync",
            "AuthMode",
            "Authorization",
            "AuthorizationChange",
            "AuthorizationState",
            "AuthorizeUrl",
            "AuthorizedAgent",
            "Broker",
            "BrokerError",
            "ConfigSignature",
            "Edition",
            "Event",
            "EventStream",
            "HttpMethod",
            "InstallUrl",
            "MediaDownload",
            "MediaHead",
            "MediaUpload",
            "OauthScope",
            "PageSignature",
            "Permission",
            "ReportOutcome",
            "Session",
            "ShareChangeType",
            "ShareKind",
            "SharedFrom",
            "Signature",
            "Target",
            "Tls",
            "User",
            "UserKind",
            "UserProfile",
            "errors",
        ] == wecom_broker.__all__

    def test_only_grpcio_and_protobuf_are_imported(self):
        folder = Path(wecom_broker.__file__).parent
        sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))

        assert "google.rpc import" not in sources
        assert "grpc_status" not in sources


class TestAddresses:
    async def test_a_name_is_resolved(self, fake: FakeBroker):
        port = fake.address.rpartition(":")[2]
        async with Broker(f"dns:///localhost:{port}") as broker:
            assert 1 == (await broker.access_token("crm")).generation

    async def test_a_unix_socket_is_an_address(self, tmp_path: Path):
        fake = FakeBroker()
        fake.address = f"unix://{tmp_path}/broker.sock"
        async with fake, Broker(fake.address) as broker:
            assert 1 == (await broker.access_token("crm")).generation

    async def test_a_stub_is_asked_with_the_errors_of_the_client(self, broker: Broker, fake: FakeBroker):
        get = TokenServiceStub(broker.channel).GetAccessToken
        request = pb.GetAccessTokenRequest(target=Target("crm").to_proto())

        assert 1 == (await broker.ask(get, request)).token.generation
        await fake.stop()
        with pytest.raises(BrokerUnreachable):
            await broker.ask(get, request)

    async def test_the_channel_serves_what_the_class_does_not(self, broker: Broker):
        answer = await TokenServiceStub(broker.channel).GetAccessToken(
            pb.GetAccessTokenRequest(target=Target("crm").to_proto()), timeout=5
        )

        assert 1 == answer.token.generation


class TestSecrets:
    async def test_a_token_shows_its_value_only_when_asked(self, broker: Broker):
        token = await broker.access_token("crm", "ww1")

        for text in (repr(token), str(token), f"{token}", f"{[token]}", f"{token!r:>5}"):
            assert token.value not in text
            assert "ww1" in text

    def test_a_client_shows_no_bearer_token(self):
        assert "<Broker of 'somewhere:1'>" == repr(
            Broker("somewhere:1", token=BEARER, allow_plaintext_token=True)
        )

    def test_tls_shows_no_private_key(self):
        assert "hush" not in repr(Tls(certificate=b"known", private_key=b"hush"))

    async def test_a_bearer_token_goes_with_every_call(self, fake: FakeBroker):
        async with Broker(fake.address, token=BEARER) as broker:
            token = await broker.access_token("crm")
            await broker.rejected(token, 40014)
            await broker.sync_app_shares("crm")
            await broker.upload_media("crm", "file", "a.txt", b"text")
            async with broker.download_media("crm", "media-1"):
                pass

        assert {"Bearer hush"} == fake.authorizations

    async def test_without_a_bearer_token_none_is_sent(self, fake: FakeBroker):
        async with Broker(fake.address) as broker:
            await broker.access_token("crm")

        assert {None} == fake.authorizations

    async def test_a_bearer_token_can_rotate(self, fake: FakeBroker):
        tokens = iter(["one", "two"])
        async with Broker(fake.address, token=lambda: next(tokens)) as broker:
            await broker.access_token("crm")
            await broker.sync_app_shares("crm")

        assert {"Bearer one", "Bearer two"} == fake.authorizations


class TestTls:
    @pytest.fixture
    async def identity(self) -> tuple[bytes, bytes]:
        return self_signed()

    @pytest.fixture
    async def secure_fake(self, identity: tuple[bytes, bytes]) -> FakeBroker:
        certificate, private_key = identity
        fake = FakeBroker()
        fake.server_credentials = grpc.ssl_server_credentials(
            [(private_key, certificate)], root_certificates=certificate, require_client_auth=True
        )
        async with fake:
            yield fake

    async def test_files_and_bytes_are_taken(
        self, secure_fake: FakeBroker, identity: tuple[bytes, bytes], tmp_path: Path
    ):
        certificate, private_key = identity
        (tmp_path / "key.pem").write_bytes(private_key)
        tls = Tls(ca=certificate, certificate=certificate, private_key=tmp_path / "key.pem")

        async with Broker(secure_fake.address, tls=tls, token=BEARER) as broker:
            assert 1 == (await broker.access_token("crm")).generation

    async def test_another_name_can_be_expected(self, secure_fake: FakeBroker, identity: tuple[bytes, bytes]):
        certificate, private_key = identity
        target = f"dns:///localhost:{secure_fake.address.rpartition(':')[2]}"
        tls = Tls(ca=certificate, certificate=certificate, private_key=private_key, server_name="broker.test")

        async with Broker(target, tls=tls) as broker:
            assert 1 == (await broker.access_token("crm")).generation

    async def test_a_client_without_a_certificate_is_kept_out(
        self, secure_fake: FakeBroker, identity: tuple[bytes, bytes]
    ):
        async with Broker(secure_fake.address, tls=Tls(ca=identity[0])) as broker:
            with pytest.raises(BrokerUnreachable):
                await broker.access_token("crm")

    async def test_a_foreign_broker_is_not_believed(self, secure_fake: FakeBroker):
        certificate, private_key = self_signed()
        tls = Tls(ca=certificate, certificate=certificate, private_key=private_key)
        async with Broker(secure_fake.address, tls=tls) as broker:
            with pytest.raises(BrokerUnreachable):
                await broker.access_token("crm")

    def test_half_a_pair_is_refused(self):
        with pytest.raises(ValueError, match="go together"):
            Tls(certificate=ssl.get_default_verify_paths().cafile or b"")


class TestEnd:
    async def test_a_closed_client_says_so(self, fake: FakeBroker):
        async with Broker(fake.address) as broker:
            token = await broker.access_token("crm")

        for call in (
            broker.access_token("crm"),
            broker.rejected(token, 40014),
            broker.sync_app_shares("crm"),
            broker.sign_page("crm", "https://crm.test/"),
            broker.upload_media("crm", "file", "a.txt", b"text"),
            broker.download_media("crm", "media-1").__aenter__(),
            anext(broker.watch_access_token("crm")),
            anext(broker.app_shares("crm")),
            anext(broker.events("g")),
            broker.acknowledge_events("g", ["crm:1-1"]),
            broker.seal_reply("crm", "<xml/>"),
        ):
            with pytest.raises(BrokerClosed):
                await call
        with pytest.raises(BrokerClosed):
            _ = broker.channel

    async def test_closing_again_does_nothing(self, broker: Broker):
        await broker.access_token("crm")
        await broker.close()
        await broker.close()

    async def test_closing_leaves_nothing_running(self, fake: FakeBroker):
        before = asyncio.all_tasks()
        async with Broker(fake.address) as broker:
            for number in range(20):
                await broker.access_token("crm", f"ww{number}")
            fake.end_streams()
        await fake.until(lambda: fake.open_streams == 0)

        assert not [
            task for task in asyncio.all_tasks() - before if task.get_name().startswith("wecom_broker")
        ]

    async def test_closing_ends_a_call_under_way(self, fake: FakeBroker, broker: Broker):
        fake.hold()
        call = asyncio.create_task(broker.sync_app_shares("crm"))
        await fake.until(lambda: fake.calls["SyncAppShares"] == 1)
        await broker.close()

        with pytest.raises(BrokerClosed):
            await call
        fake.release()

    async def test_a_forgotten_close_is_warned_of(self, fake: FakeBroker):
        broker = Broker(fake.address)
        await broker.access_token("crm")
        memory, connection = broker._memory, broker._connection

        with pytest.warns(ResourceWarning, match="unclosed <Broker of"):
            del broker
        await memory.close()
        await connection.close()

    async def test_a_client_that_was_never_used_need_not_be_closed(self, fake: FakeBroker):
        broker = Broker(fake.address)
        del broker
        gc.collect()

    @pytest.mark.parametrize("name", ["timeout", "idle_after"])
    def test_a_time_must_be_longer_than_nothing(self, name: str):
        with pytest.raises(ValueError, match=name):
            Broker("somewhere:1", **{name: timedelta(0)})


def test_a_target_equals_its_tuple():
    assert ("crm", "ww1", None, 0) == Target("crm", "ww1")
    assert hash(("crm", "", None, 0)) == hash(Target("crm"))


def test_a_token_cannot_be_changed():
    token = AccessToken("hush", datetime.now(UTC), "ww1", 1, 1, Target("crm"))

    with pytest.raises(AttributeError):
        token.value = "other"
