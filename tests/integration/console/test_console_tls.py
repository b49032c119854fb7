"""Over HTTPS a caller comes by its certificate, or without one by its token; files are read anew."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from broker.server.http.server import CannotListen
from tests.integration.console.place import CALLERS, OPS, READ, Browser, Place, console
from tests.kit.processes.certificates import Authority, Pair

NAME = "spiffe://example.org/desk"
DESK = {"name": "desk", "identity": NAME, "allow": [{"apps": ["*"], "actions": [READ]}]}


def trusting(authority: Authority, files: dict[str, str] | None = None) -> ssl.SSLContext:
    """Return a client that trusts the authority, and has a certificate if files are given."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if files:
        context.load_cert_chain(files["certificate"], files["private_key"])
    return context


@dataclass(frozen=True)
class Https:
    """A console over HTTPS."""

    place: Place
    authority: Authority
    files: dict[str, str]
    folder: Path

    async def status(self, pair: Pair | None = None, token: str = "") -> int:
        """Return what a browser gets over a connection of its own; 0 if it cannot connect."""
        files = pair.write(self.folder, "client") if pair else None
        connector = aiohttp.TCPConnector(ssl=trusting(self.authority, files))
        async with aiohttp.ClientSession(connector=connector) as session:
            try:
                return (await Browser(session, self.place.browser.base).get("/", token)).status
            except aiohttp.ClientError:
                return 0

    async def served(self, pair: Pair) -> x509.Certificate:
        """Return the certificate that a new connection sees."""
        context = trusting(self.authority, pair.write(self.folder, "client"))
        port = self.place.here.broker.console_port
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(der)


@pytest.fixture(params=[False, True], ids=["optional", "required"])
async def https(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Https]:
    authority = Authority()
    files = {
        **authority.sign(address="127.0.0.1").write(tmp_path, "console"),
        "client_ca": authority.write(tmp_path),
    }
    tls = {**files, "client_ca_required": request.param}
    async with console(tmp_path, tls=tls, client=trusting(authority), callers=[*CALLERS, DESK]) as place:
        yield Https(place, authority, files, tmp_path)


def required(https: Https, request: pytest.FixtureRequest) -> bool:
    return "required" in request.node.name


async def test_a_certificate_proves_a_caller(https: Https, request: pytest.FixtureRequest) -> None:
    mine, others = https.authority.sign(uri=NAME), https.authority.sign(uri="spiffe://example.org/other")

    assert 200 == await https.status(mine)
    assert 401 == await https.status(others)
    assert 200 == await https.status(others, OPS)
    assert 0 == await https.status(Authority("another one").sign(uri=NAME))
    assert (0 if required(https, request) else 401) == await https.status()
    assert (0 if required(https, request) else 200) == await https.status(token=OPS)


async def test_files_are_read_anew_with_those_of_the_other_listeners(https: Https) -> None:
    mine = https.authority.sign(uri=NAME)
    before = await https.served(mine)
    new = Authority("the next CA")
    https.authority.sign(address="127.0.0.1", lasts=timedelta(days=9)).write(https.folder, "console")
    Path(https.files["client_ca"]).write_bytes(new.pem)

    https.place.here.broker.tls.read_again()

    after = await https.served(new.sign(uri=NAME))
    assert after.serial_number != before.serial_number
    assert after.not_valid_after_utc > datetime.now(UTC) + timedelta(days=8)
    # Who has a certificate of the CA that is gone does not come in again.
    assert 0 == await https.status(mine)
    assert 200 == await https.status(new.sign(uri=NAME))
    ends = https.place.here.broker.telemetry.replica_health.certificates
    assert {"console.tls.certificate", "console.tls.client_ca"} == set(ends)
    assert after.not_valid_after_utc == ends["console.tls.certificate"]


async def test_where_certificates_count_no_session_of_tls_1_2_can_outlive_their_ca(https: Https) -> None:
    context = trusting(https.authority, https.authority.sign(uri=NAME).write(https.folder, "client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", https.place.here.broker.console_port, ssl=context)


async def test_a_bad_pair_changes_nothing(https: Https, tmp_path: Path) -> None:
    mine = https.authority.sign(uri=NAME)
    before = await https.served(mine)
    shutil.copy(https.files["client_ca"], https.files["certificate"])

    with pytest.raises(CannotListen, match=r"^console\.tls: certificate and private_key are no pair"):
        https.place.here.broker.tls.read_again()

    assert before.serial_number == (await https.served(mine)).serial_number
