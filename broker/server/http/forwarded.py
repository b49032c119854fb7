"""The sender of an HTTP request, if the broker is behind proxies."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network


class Forwarded:
    """Trust `X-Forwarded-For` as far as trusted proxies wrote it."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ip_network(network) for network in trusted]

    def sender(self, peer: str, headers: Sequence[str]) -> str:
        """Return the first address, from our end, that is not a trusted proxy's.

        Each proxy appends its caller's address: what precedes a stranger's entry is the stranger's own claim.
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
        # A dual-stack socket reports IPv4 peers as `::ffff:10.0.0.1`.
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._trusted)
