"""TLS of the console: certificates and the CA of the clients are those that the files have now."""

import ssl
from contextlib import suppress

from broker.server.grpc.listening.tls import ServerTls


class ConsoleTls:
    """A context for `asyncio` whose handshakes each take the newest files."""

    def __init__(self, tls: ServerTls, *, demand: bool) -> None:
        """Let clients connect without a certificate unless `demand`; one that is presented is verified."""
        self._tls = tls
        self._demand = demand
        self._version = tls.version
        self._newest = self.context = self._made()
        self.context.sni_callback = self._take_newest

    def _take_newest(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        """OpenSSL asks at each handshake, also where the client names no server."""
        if self._version != self._tls.version:
            self._version = self._tls.version
            # They were read and checked a moment ago; if they are gone by now, the others still serve.
            with suppress(OSError):
                self._newest = self._made()
        if self._newest is not self.context:
            connection.context = self._newest
        return None

    def _made(self) -> ssl.SSLContext:
        files = self._tls.files
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A session that is resumed would not be verified by a new client CA. Of TLS 1.2 OpenSSL keeps some,
        # which Python cannot forbid.
        made.minimum_version = ssl.TLSVersion.TLSv1_3 if files.client_ca else ssl.TLSVersion.TLSv1_2
        made.options |= ssl.OP_NO_TICKET
        made.num_tickets = 0
        made.load_cert_chain(files.certificate, files.private_key)
        if files.client_ca:
            made.load_verify_locations(files.client_ca)
            made.verify_mode = ssl.CERT_REQUIRED if self._demand else ssl.CERT_OPTIONAL
        return made
