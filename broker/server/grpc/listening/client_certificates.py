"""The names in a client certificate, read from the certificate itself.

gRPC hands names on as C strings, which end at the first NUL: it passes `mail.svc` on where the certificate
says `mail.svc`, a NUL and `.attacker.example`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client certificate proves, and how long."""

    uris: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    not_after: datetime = LONG_AGO

    @property
    def identities(self) -> tuple[str, ...]:
        """Return the names in the form of the configuration: `spiffe://…` first, then `dns:…`.

        A SPIFFE certificate has one URI; one with several is invalid (X.509-SVID, section 2).
        A URI may begin like our form of a DNS name, but does not prove one.
        """
        uris = self.uris if len(self.uris) == 1 and self.uris[0].startswith("spiffe://") else ()
        return (*uris, *(f"dns:{name}" for name in self.dns_names))


NAMELESS = ClientCertificate()


def read_certificate(pem: bytes) -> ClientCertificate:
    """Return what the certificate proves: nothing if it cannot be read to its end."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return ClientCertificate(
            tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            tuple(names.get_values_for_type(x509.DNSName)),
            certificate.not_valid_after_utc,
        )
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return NAMELESS
