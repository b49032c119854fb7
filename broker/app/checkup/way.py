"""The way to WeCom: the name, the certificate, the answer and its time."""

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

from broker.adapters.system import SystemClock
from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.egress import Egress
from broker.domain.errors import WecomUnavailable
from broker.domain.replica.clocks import Witness
from broker.server.diagnosis.finding import Finding, Level

LOOKED_UP_WITHIN_SECONDS = 5.0
RESOLVERS = Path("/etc/resolv.conf")
REMEDIES = {
    "proxy": "correct [wecom] proxy, or what the proxy lets pass",
    "certificate": "a proxy that opens TLS needs its CA in [wecom] ca; else somebody else answers here",
    "": "look at firewall and routes; where only a proxy leads out, set [wecom] proxy",
}


async def look_up(base: str, egress: Egress) -> Finding:
    """Find out whether the first host on the way has an address."""
    host, fixed = _first_host(base, egress)
    if fixed:
        return Finding(Level.OK, "dns", f"{host} is {', '.join(fixed)} by [wecom] resolve")
    lookup = asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    try:
        async with asyncio.timeout(LOOKED_UP_WITHIN_SECONDS):
            addresses = sorted({str(address[0]) for *_, address in await lookup})
    except (OSError, TimeoutError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no answer in time"
        problem = f"{host} cannot be resolved: {why}{_resolvers()}"
        remedy = "mend the name server, or fix the address in [wecom] resolve until then"
        return Finding(Level.FAIL, "dns", problem, remedy)
    return Finding(Level.OK, "dns", f"{host} is {', '.join(addresses)}")


async def reach(base: str, egress: Egress, client: WecomClient, clock: SystemClock) -> Finding:
    """Find out whether WeCom answers there, over TLS; note its time."""
    try:
        await clock.ask(Witness.WECOM, client.seconds)
    except WecomUnavailable as error:
        words = [word for word in REMEDIES if word and word in error.message]
        return Finding(Level.FAIL, "wecom", error.message, REMEDIES[words[-1] if words else ""])
    over = "" if base.startswith("http:") else " over TLS"
    return Finding(Level.OK, "wecom", f"{urlsplit(base).hostname} answers{over}{egress.via}")


def compare(clock: SystemClock) -> Finding:
    """Say which of the clocks that were heard are wrong."""
    compared = clock.compared()
    if compared.problem:
        return Finding(Level.WARN, "clock", compared.problem, "set the clock that is wrong, by NTP")
    heard = ", ".join(sorted(str(witness) for witness in compared.told))
    return Finding(Level.OK, "clock", f"no clock is wrong (heard: {heard})")


def _first_host(base: str, egress: Egress) -> tuple[str, list[str]]:
    """Return the host to look up, and its fixed addresses; behind a proxy, the proxy looks WeCom up."""
    host = urlsplit(f"//{egress.proxy_address}" if egress.proxy else base).hostname or ""
    return host, list(egress.addresses.get(host, ()))


def _resolvers() -> str:
    try:
        lines = RESOLVERS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    servers = [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]
    return f" (asked: {', '.join(servers)})" if servers else ""
