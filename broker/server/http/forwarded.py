"""Who sent an HTTP request, where proxies stand before the broker."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network


class Forwarded:
    """Believe `X-Forwarded-For` as far as trusted proxies wrote it."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ip_network(network) for network in trusted]

    def sender(self, peer: str, headers: Sequence[str]) -> str:
        """Return the first address, from our end, that is not a trusted proxy's.

        Each proxy adds who called it at the end: what stands before a stranger's entry is his own word.
        """
        found = peer
        hops = [hop.strip() for header in headers for hop in header.split(",")]
        while hops and self._is_trusted(found):
            found = hops.pop()
        return found

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        # A socket for both versions has its IPv4 peers as `::ffff:10.0.0.1`.
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._trusted)
