"""Certificates that change while the broker serves, and ports that demand client certificates or do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from broker.server.http.server import CannotListen
from broker.simulator.demo import PARENT, add_children, demo_world
from tests.integration.access.doors import BEARER, BY_SPIFFE, BY_TOKEN, ORDERS, UNKNOWN, Door, said
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.certificates import Authority
from tests.kit.processes.fleet import Replica, child, refused


class Renewable:
    """A broker behind TLS whose files a test changes."""

    def __init__(self, folder: Path, here: BrokerHere, authority: Authority) -> None:
        self.folder = folder
        self.here = here
        self.authority = authority

    def read_again(self) -> None:
        assert self.here.broker.tls.server
        self.here.broker.tls.read_again()

    def door(self, trusted: Authority | None = None) -> Door:
        return Door(self.here.address, trusted or self.authority)


@asynccontextmanager
async def renewable(folder: Path, *listeners: Any, **tls: Any) -> AsyncIterator[Renewable]:
    authority = Authority()
    files = authority.sign(dns="localhost", address="127.0.0.1").write(folder, "server")
    world = demo_world()
    add_children(world, 2)
    server = {
        "grpc": list(listeners or ["127.0.0.1:0"]),
        "tls": {**files, "client_ca": authority.write(folder), **tls},
    }
    async with broker_here(folder, world, server=server, callers=[BY_SPIFFE, BY_TOKEN]) as here:
        yield Renewable(folder, here, authority)


async def unreachable(replica: Replica) -> bool:
    return grpc.StatusCode.UNAVAILABLE is (await refused(replica.token(timeout=5))).code


async def test_a_new_certificate_is_used_for_new_connections_and_the_old_ones_go_on(
    tmp_path: Path,
) -> None:
    async with renewable(tmp_path) as tls:
        client = tls.authority.sign(uri=ORDERS)
        async with tls.door().enter(client) as connected:
            assert await connected.token()
            other = Authority("the next CA of the server")
            other.sign(dns="localhost", address="127.0.0.1").write(tmp_path, "server")

            tls.read_again()

            async with tls.door(other).enter(client) as replica:
                assert await replica.token(), "who trusts the new CA alone gets in"
            async with tls.door().enter(client) as replica:
                assert await unreachable(replica), "who trusts the old one alone does not"
            assert await connected.token(), "no call of an open connection fails"


async def test_a_client_ca_that_was_removed_lets_nobody_connect(tmp_path: Path) -> None:
    async with renewable(tmp_path) as tls:
        new_ca = Authority("the next CA of the clients")
        old, new = tls.authority.sign(uri=ORDERS), new_ca.sign(uri=ORDERS)
        for trusted, (old_enters, new_enters) in (
            (tls.authority.pem + new_ca.pem, (True, True)),
            (new_ca.pem, (False, True)),
            (tls.authority.pem, (True, False)),
        ):
            (tmp_path / "ca.pem").write_bytes(trusted)
            tls.read_again()
            for pair, enters in ((old, old_enters), (new, new_enters)):
                async with tls.door().enter(pair) as replica:
                    if enters:
                        assert await replica.token()
                    else:
                        assert await unreachable(replica)


async def test_beside_an_expired_client_ca_the_good_one_lets_its_clients_connect_with_the_new_certificate(
    tmp_path: Path,
) -> None:
    async with renewable(tmp_path) as tls:
        ended = Authority("the CA before", lasts=timedelta(days=-1))
        other = Authority("the next CA of the server")
        (tmp_path / "ca.pem").write_bytes(ended.pem + tls.authority.pem)
        other.sign(dns="localhost", address="127.0.0.1").write(tmp_path, "server")

        tls.read_again()

        async with tls.door(other).enter(tls.authority.sign(uri=ORDERS)) as replica:
            assert await replica.token()
        async with tls.door(other).enter(ended.sign(uri=ORDERS)) as replica:
            assert await unreachable(replica)


async def test_a_bad_new_pair_changes_nothing(tmp_path: Path) -> None:
    async with renewable(tmp_path) as tls:
        client = tls.authority.sign(uri=ORDERS)
        (tmp_path / "server.key.pem").write_bytes(tls.authority.sign(dns="localhost").private_key)
        with pytest.raises(CannotListen, match="no pair"):
            tls.read_again()

        async with tls.door().enter(client) as replica:
            assert await replica.token()


async def test_no_call_fails_while_certificates_change_again_and_again(tmp_path: Path) -> None:
    async with renewable(tmp_path) as tls:
        client = tls.authority.sign(uri=ORDERS)
        served = 0

        async def connect_and_call() -> None:
            nonlocal served
            for _ in range(10):
                async with tls.door().enter(client) as replica:
                    assert await replica.token()
                    served += 1

        async def renew() -> None:
            for _ in range(20):
                tls.authority.sign(dns="localhost", address="127.0.0.1").write(tmp_path, "server")
                tls.read_again()
                await asyncio.sleep(0)

        await asyncio.gather(*(connect_and_call() for _ in range(4)), renew())
    assert 40 == served


async def test_one_port_demands_certificates_and_another_takes_tokens_without_one(tmp_path: Path) -> None:
    listeners = "127.0.0.1:0", {"address": "127.0.0.1:0", "client_certificate": False}
    async with renewable(tmp_path, *listeners) as tls:
        demanding, open_port = (Door(address, tls.authority) for address in tls.here.broker.grpc_addresses)
        client = tls.authority.sign(uri=ORDERS)
        async with demanding.enter(client) as replica:
            assert PARENT.corpid == (await replica.token()).corp_id
        async with demanding.enter(bearer=BEARER) as replica:
            assert await unreachable(replica)
        async with open_port.enter(bearer=BEARER) as replica:
            assert child(1) == (await replica.token(child(1))).corp_id
        async with open_port.enter(client) as replica:
            assert UNKNOWN == said(await refused(replica.token())), "nobody asked for the certificate"


async def test_without_client_ca_required_a_port_must_ask_for_certificates(
    tmp_path: Path,
) -> None:
    listeners = "127.0.0.1:0", {"address": "127.0.0.1:0", "client_certificate": True}
    async with renewable(tmp_path, *listeners, client_ca_required=False) as tls:
        open_port, demanding = (Door(address, tls.authority) for address in tls.here.broker.grpc_addresses)
        async with open_port.enter(bearer=BEARER) as replica:
            assert child(1) == (await replica.token(child(1))).corp_id
        async with demanding.enter(tls.authority.sign(uri=ORDERS)) as replica:
            assert PARENT.corpid == (await replica.token()).corp_id
