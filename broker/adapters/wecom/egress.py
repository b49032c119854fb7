"""How calls reach WeCom: directly or by an HTTP proxy, which certificates are trusted, fixed addresses."""

import base64
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from broker.domain.secret import Secret


@dataclass(frozen=True)
class Egress:
    """How every call reaches WeCom; the `*_proxy` environment variables are ignored."""

    proxy: Secret | None = None
    """`http://user:password@host:port`, user and password percent-encoded."""
    ca: str | None = None
    """A file of certificates that are trusted besides the system's."""
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Fixed addresses of hosts, which are not looked up."""

    def connector(self) -> aiohttp.TCPConnector:
        """Return the pool of connections. Raises `OSError` where the CA file cannot be used."""
        resolver = FixedResolver(self.addresses) if self.addresses else None
        return aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=self.trust.context, resolver=resolver)

    @cached_property
    def trust(self) -> "Trust":
        """Return which certificates are trusted. Raises `OSError` where the CA file cannot be used."""
        return Trust(self.ca)

    @cached_property
    def login(self) -> "ProxyLogin":
        """Return who the broker is at the proxy."""
        return ProxyLogin(self.proxy)

    def options(self, url: str) -> dict[str, Any]:
        """Return aiohttp's request options for that URL."""
        # Beside the connector's, which stays as it was: a reload may have read another file since.
        trust = {"ssl": self.trust.context}
        if self.proxy is None:
            return trust
        # In a tunnel WeCom would get `headers`; without a tunnel the proxy reads only those.
        reads = "proxy_headers" if url.startswith("https:") else "headers"
        return {**trust, "proxy": f"http://{self.proxy_address}", reads: self.login.headers()}

    @property
    def proxy_address(self) -> str:
        """Return host and port of the proxy; empty without one."""
        return urlsplit(self.proxy.reveal()).netloc.rpartition("@")[2] if self.proxy else ""

    @property
    def via(self) -> str:
        """Return how errors name the proxy; empty without one."""
        return f" through the proxy {self.proxy_address}" if self.proxy else ""

    def described(self) -> dict[str, object]:
        """Return what operators may see of the settings."""
        way = f"through the proxy {self.proxy_address}" if self.proxy else "directly"
        return {"way": way, "ca": self.ca or "the system's", "resolve": dict(self.addresses)}


class ProxyLogin:
    """Who the broker is at the proxy now; a reload renews it, and new connections log in with it."""

    def __init__(self, proxy: Secret | None) -> None:
        self._proxy = proxy

    def renew(self, proxy: Secret | None) -> None:
        """Take the user and password of the same proxy's new address."""
        self._proxy = proxy

    def headers(self) -> dict[str, str]:
        """Return what the proxy is told; nothing if its address has no user."""
        parts = urlsplit(self._proxy.reveal() if self._proxy else "")
        if parts.username is None:
            return {}
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


class Trust:
    """The certificates that are trusted: the system's, and those of a file."""

    def __init__(self, ca: str | None) -> None:
        self._ca = ca
        self.context = self._read()

    def renew(self) -> None:
        """Trust what the file has by now; what cannot be read changes nothing."""
        if self._ca:
            with suppress(OSError):
                self.context = self._read()

    def _read(self) -> ssl.SSLContext | bool:
        if self._ca is None:
            return True  # aiohttp's own context trusts the system's; to read all of them takes 20 ms
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self._ca)
        return context


class FixedResolver(AbstractResolver):
    """Resolve some hosts to fixed addresses, and look the others up."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self._addresses = addresses
        self._lookup = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver`."""
        if host not in self._addresses:
            return await self._lookup.resolve(host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses[host]
        ]

    async def close(self) -> None:
        """See `AbstractResolver`."""
        await self._lookup.close()
