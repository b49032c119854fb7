"""A broker behind TLS that knows three callers: by a SPIFFE id, by a DNS name and by a token."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from broker.simulator.demo import PARENT, add_children, demo_world
from tests.kit.broker_here import broker_here
from tests.kit.processes.certificates import Authority, Bundle, Pair
from tests.kit.processes.fleet import Refusal, Replica, child

ORDERS, MAIL = "spiffe://example.org/orders", "mail.svc"
BEARER = "the-bearer-token-of-reports"
READ = {"apps": ["crm"], "corps": ["*"], "actions": ["token.get", "token.report", "admin.refresh"]}
BY_SPIFFE = {"name": "orders", "identity": ORDERS, "allow": [READ]}
BY_DNS = {
    "name": "mail",
    "identity": f"dns:{MAIL}",
    "allow": [{"apps": ["crm"], "corps": [PARENT.corpid], "actions": ["token.get"]}],
}
BY_TOKEN = {
    "name": "reports",
    "token_sha256": hashlib.sha256(BEARER.encode()).hexdigest(),
    "allow": [{"apps": ["crm"], "corps": [child(1)], "actions": ["token.get", "share.read"]}],
}


class Door:
    """A broker behind TLS, and connections to it."""

    def __init__(self, address: str, authority: Authority | Bundle) -> None:
        self.address = address
        self.authority = authority

    @asynccontextmanager
    async def enter(self, pair: Pair | None = None, bearer: str = "") -> AsyncIterator[Replica]:
        """Connect with a certificate, a bearer token, both or none."""
        key, certificate = (pair.private_key, pair.certificate) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials(self.authority.pem, key, certificate)
        if bearer:
            credentials = grpc.composite_channel_credentials(
                credentials, grpc.access_token_call_credentials(bearer)
            )
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        async with grpc.aio.secure_channel(self.address, credentials, options=options) as channel:
            yield Replica(channel)


@asynccontextmanager
async def door(folder: Path, callers: Sequence[dict[str, Any]]) -> AsyncIterator[Door]:
    authority = Authority()
    tls = authority.sign(dns="localhost", address="127.0.0.1").write(folder, "server")
    if any("identity" in caller for caller in callers):
        tls["client_ca"] = authority.write(folder)
    world = demo_world()
    add_children(world, 2)
    async with broker_here(folder, world, server={"tls": tls}, callers=callers) as here:
        yield Door(here.address, authority)


def said(refusal: Refusal) -> tuple[grpc.StatusCode, str]:
    return refusal.code, refusal.reason


DENIED = (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
