"""Certificates for a test: an authority that signs for SPIFFE ids, DNS names and addresses."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    private_key: bytes

    def write(self, folder: Path, name: str) -> dict[str, str]:
        """Write both to files; return the paths by the names of `server.tls`."""
        paths = {"certificate": folder / f"{name}.pem", "private_key": folder / f"{name}.key.pem"}
        paths["certificate"].write_bytes(self.certificate)
        paths["private_key"].write_bytes(self.private_key)
        return {key: str(path) for key, path in paths.items()}


@dataclass(frozen=True)
class Bundle:
    """What clients trust while the authority is exchanged: the certificates of several, as PEM."""

    pem: bytes


class Authority:
    """Sign certificates."""

    def __init__(self, name: str = "the CA of the tests", *, lasts: timedelta = DAY) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            self._builder(self._name, self._key.public_key(), lasts)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Return the authority's own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path) -> str:
        """Write its certificate to a file; return the path."""
        path = folder / "ca.pem"
        path.write_bytes(self.pem)
        return str(path)

    def sign(self, *, dns: str = "", uri: str = "", address: str = "", lasts: timedelta = DAY) -> Pair:
        """Return a new certificate for these names."""
        names: list[x509.GeneralName] = []
        if dns:
            names.append(x509.DNSName(dns))
        if uri:
            names.append(x509.UniformResourceIdentifier(uri))
        if address:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        return self.sign_names(x509.SubjectAlternativeName(names), common_name=dns or "somebody", lasts=lasts)

    def sign_names(
        self, names: x509.ExtensionType | None, *, common_name: str = "somebody", lasts: timedelta = DAY
    ) -> Pair:
        """Return a new certificate with exactly this extension, however odd, or with none."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._builder(subject, key.public_key(), lasts)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, lasts: timedelta = DAY
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + min(lasts, timedelta()) - timedelta(hours=1))
            .not_valid_after(now + lasts)
        )
