"""Incidents of TLS: the server's certificate, or the CA of its clients, has ended."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from broker.domain.replica.health import ReloadOutcome
from tests.incidents.ground import Ground, Told, ground
from tests.kit.processes.certificates import Authority, Pair
from tests.kit.processes.fleet import target, until

ENDED = timedelta(minutes=-5)


def _listening(folder: Path, tls: dict[str, str]) -> Callable[[dict[str, Any]], None]:
    """Return a change to TLS, with a socket beside it for local operators."""

    def change(config: dict[str, Any]) -> None:
        config["server"]["grpc"] = ["127.0.0.1:0", f"unix://{folder}/broker.sock"]
        config["server"]["tls"] = tls

    return change


async def _connects(here: Ground, authority: Authority, client: Pair | None = None) -> bool:
    """Return whether a caller gets a token over TLS within a few seconds."""
    credentials = grpc.ssl_channel_credentials(
        authority.pem, client and client.private_key, client and client.certificate
    )
    # Else a new channel waits as long as the one before it that failed.
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(here.broker.grpc_addresses[0], credentials, options=own) as channel:
        request = pb.GetAccessTokenRequest(target=target())
        with suppress(grpc.aio.AioRpcError):
            answer = await TokenServiceStub(channel).GetAccessToken(request, timeout=2, wait_for_ready=True)
            return bool(answer.token.value)
        return False


async def _renewed(here: Ground) -> None:
    """Have the files read again, as the broker does by itself when they change."""
    assert here.broker.tls
    outcome = await here.broker.reload.reload()
    assert ReloadOutcome.APPLIED is outcome, here.broker.telemetry.replica_health.config.problems


async def server_certificate_ended(folder: Path, told: Told) -> None:
    authority = Authority()
    tls = authority.sign(address="127.0.0.1", lasts=ENDED).write(folder, "server")
    socket = f"unix://{folder}/broker.sock"
    async with ground(folder, told, _listening(folder, tls), address=socket) as here:
        assert not await _connects(here, authority)
        subject = f"tls {await here.name()}"
        remedy = await here.named(
            "FAIL", subject, "server.tls.certificate ended", "WecomBrokerCertificateEnded"
        )
        assert "put a new one in its place" in remedy
        authority.sign(address="127.0.0.1").write(folder, "server")
        await _renewed(here)
        await until(lambda: _connects(here, authority))
        assert not [found for found in await here.doctor() if found["level"] == "FAIL"]
        here.worked()


async def client_authority_ended(folder: Path, told: Told) -> None:
    authority, old, new = Authority(), Authority("clients", lasts=ENDED), Authority("clients of this year")
    server = authority.sign(address="127.0.0.1").write(folder, "server")
    tls = {**server, "client_ca": old.write(folder)}
    socket = f"unix://{folder}/broker.sock"
    async with ground(folder, told, _listening(folder, tls), address=socket) as here:
        assert not await _connects(here, authority, old.sign(dns="orders.test"))
        subject = f"tls {await here.name()}"
        remedy = await here.named(
            "FAIL", subject, "server.tls.client_ca ended", "WecomBrokerCertificateEnded"
        )
        assert "put a new one in its place" in remedy
        new.write(folder)
        await _renewed(here)
        client = new.sign(dns="orders.test")
        await until(lambda: _connects(here, authority, client))
        here.worked()
