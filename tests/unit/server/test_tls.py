"""The server's TLS files: read again while it serves, and only if they can be used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broker.server.grpc.listening.tls import ServerTls, TlsFiles
from broker.server.http.server import CannotListen
from broker.telemetry.metrics import Metrics
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.processes.certificates import Authority, Pair

AUTHORITY = Authority()
MADE_AT = datetime.now(UTC)
DAYS = timedelta(days=1)


class Files:
    """The files of a server, and what was read of them."""

    def __init__(self, folder: Path, pair: Pair | None = None) -> None:
        self.folder = folder
        self.metrics = Metrics()
        # A long run reaches these tests minutes after the authority was made.
        self.clock = FakeClock(MADE_AT)
        self.write(pair or AUTHORITY.sign(dns="localhost"))
        self.files = TlsFiles(
            str(folder / "server.pem"), str(folder / "server.key.pem"), AUTHORITY.write(folder)
        )

    def write(self, pair: Pair) -> None:
        pair.write(self.folder, "server")

    def read(self) -> ServerTls:
        return ServerTls(self.files, self.clock, self.metrics)

    def ends_in(self, file: str) -> timedelta:
        seconds = self.metrics.tls_not_after.labels(file)._value.get()
        return datetime.fromtimestamp(seconds, UTC) - self.clock.now()


def about(found: timedelta, expected: timedelta) -> bool:
    # Some certificates are made with the module, some by a test that may run minutes later.
    return abs(found - expected) < timedelta(minutes=30)


def encrypted(pair: Pair) -> bytes:
    key = load_pem_private_key(pair.private_key, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"a password"),
    )


def test_it_tells_when_the_certificate_and_the_client_ca_end(tmp_path: Path) -> None:
    files = Files(tmp_path, AUTHORITY.sign(dns="localhost", lasts=20 * DAYS))
    tls = files.read()
    assert about(files.ends_in("certificate"), 20 * DAYS)
    assert about(files.ends_in("client_ca"), DAYS)

    files.write(AUTHORITY.sign(dns="localhost", lasts=90 * DAYS))
    tls.read_again()

    assert about(files.ends_in("certificate"), 90 * DAYS)


def test_of_several_certificates_in_a_file_the_first_to_end_is_told(tmp_path: Path) -> None:
    short = AUTHORITY.sign(dns="an intermediate", lasts=3 * DAYS).certificate
    leaf = AUTHORITY.sign(dns="localhost", lasts=30 * DAYS)
    files = Files(tmp_path, Pair(leaf.certificate + short, leaf.private_key))
    files.read()

    assert about(files.ends_in("certificate"), 3 * DAYS)


ONE, OTHER = AUTHORITY.sign(dns="localhost"), AUTHORITY.sign(dns="localhost")
BAD = [
    (Pair(ONE.certificate, OTHER.private_key), "server.tls: certificate and private_key are no pair"),
    (Pair(b"", ONE.private_key), "server.tls.certificate: has no certificate in PEM"),
    (Pair(ONE.certificate[:-40], ONE.private_key), "server.tls.certificate: has no certificate in PEM"),
    (Pair(ONE.certificate, b""), "server.tls.private_key: has no private key in PEM"),
    (Pair(ONE.certificate, ONE.certificate), "server.tls.private_key: has no private key in PEM"),
    (Pair(ONE.certificate, encrypted(ONE)), "server.tls.private_key: is encrypted"),
]


@pytest.mark.parametrize(("pair", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_a_bad_pair_is_refused_at_the_start_and_changes_nothing_later(
    tmp_path: Path, pair: Pair, problem: str
) -> None:
    (tmp_path / "bad").mkdir()
    with pytest.raises(CannotListen, match=problem):
        Files(tmp_path / "bad", pair).read()
    files = Files(tmp_path)
    tls = files.read()
    before, told = tls._current, files.ends_in("certificate")

    files.write(pair)

    with pytest.raises(CannotListen, match=problem):
        tls.read_again()
    assert before == tls._current
    assert told == files.ends_in("certificate")


@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_a_bad_client_ca_is_refused_too(tmp_path: Path, content: bytes | None) -> None:
    files = Files(tmp_path)
    tls = files.read()
    if content is None:
        (tmp_path / "ca.pem").unlink()
    else:
        (tmp_path / "ca.pem").write_bytes(content)

    with pytest.raises(CannotListen, match=r"server\.tls\.client_ca: (cannot read|has no certificate)"):
        tls.read_again()


async def test_a_new_certificate_that_has_expired_is_refused_and_the_old_one_is_kept_even_if_it_expired(
    tmp_path: Path,
) -> None:
    files = Files(tmp_path)
    tls = files.read()
    await files.clock.advance(2 * DAYS)
    tls.read_again()

    files.write(AUTHORITY.sign(dns="localhost"))

    with pytest.raises(CannotListen, match=r"server\.tls\.certificate: expired at 20"):
        tls.read_again()


async def test_an_expired_ca_that_nobody_removed_blocks_neither_a_renewed_pair_nor_a_later_reload(
    tmp_path: Path,
) -> None:
    files = Files(tmp_path)
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem + Authority("the next CA", lasts=90 * DAYS).pem)
    tls = files.read()
    await files.clock.advance(2 * DAYS)

    for lasts in (30 * DAYS, 60 * DAYS):
        files.write(AUTHORITY.sign(dns="localhost", lasts=lasts))
        tls.read_again()
        assert about(files.ends_in("certificate"), lasts - 2 * DAYS)
    assert files.ends_in("client_ca") < timedelta(0), "operators still see the old CA"


def test_an_expired_intermediate_beside_a_good_leaf_is_taken(tmp_path: Path) -> None:
    files = Files(tmp_path)
    tls = files.read()
    leaf = AUTHORITY.sign(dns="localhost")
    intermediate = AUTHORITY.sign(dns="an intermediate", lasts=-DAYS).certificate
    files.write(Pair(leaf.certificate + intermediate, leaf.private_key))

    tls.read_again()

    assert leaf.private_key == tls._current.private_key
    assert about(files.ends_in("certificate"), -DAYS), "operators see what has ended"


def test_an_expired_leaf_before_a_good_intermediate_is_refused(tmp_path: Path) -> None:
    files = Files(tmp_path)
    tls = files.read()
    leaf = AUTHORITY.sign(dns="localhost", lasts=-DAYS)
    files.write(Pair(leaf.certificate + AUTHORITY.sign(dns="an intermediate").certificate, leaf.private_key))

    with pytest.raises(CannotListen, match=r"server\.tls\.certificate: expired at 20"):
        tls.read_again()


def test_client_cas_that_have_all_expired_are_refused(tmp_path: Path) -> None:
    files = Files(tmp_path)
    tls = files.read()
    ended = Authority("a CA", lasts=-DAYS).pem + Authority("another CA", lasts=-2 * DAYS).pem
    (tmp_path / "ca.pem").write_bytes(ended)

    with pytest.raises(CannotListen, match=r"server\.tls\.client_ca: expired at 20"):
        tls.read_again()


def test_no_representation_shows_the_private_key(tmp_path: Path) -> None:
    tls = Files(tmp_path).read()

    assert "PRIVATE" not in f"{tls!r} {tls._current!r}"
