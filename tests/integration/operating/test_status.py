"""What an operator sees of a replica: its name, keys and certificates, its log level, and the fleet."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import structlog
from wecom_broker.v1 import admin_service_pb2 as pb
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub

from broker.app.running_broker import running_broker
from broker.config.load import parse_config
from broker.simulator import demo_world, running_simulator
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from broker.telemetry.logging import LOGGER
from tests.cli.running import run
from tests.kit.broker_here import broker_here
from tests.kit.processes.certificates import Authority
from tests.kit.processes.fleet import configuration, connect, refused
from tests.kit.processes.redis_server import RedisServer


async def test_a_replica_names_itself_and_its_seal_keys(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        await replica.token()
        status = await replica.admin.GetStatus(pb.GetStatusRequest())
        [own] = (await replica.admin.ListReplicas(pb.ListReplicasRequest())).replicas

        assert [("k1", True, True)] == [(key.id, key.seals, key.configured) for key in status.seal_keys]
        assert (status.replica, status.version, 1) == (own.name, own.version, own.credential_count)
        assert own.current
        assert own.serving
        assert own.wecom_healthy
        assert not own.silent
        assert status.seal_keys == own.seal_keys
        assert 0 == status.refusal_count


async def test_the_ends_of_certificates_are_shown(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.sign(dns="localhost", lasts=timedelta(days=20)).write(tmp_path, "server")
    tls = {**files, "client_ca": authority.write(tmp_path)}
    async with broker_here(tmp_path, demo_world(), server={"tls": tls}) as here:
        mine = authority.sign(dns="ops")
        credentials = grpc.ssl_channel_credentials(authority.pem, mine.private_key, mine.certificate)
        options = [("grpc.ssl_target_name_override", "localhost")]
        async with grpc.aio.secure_channel(here.address, credentials, options=options) as channel:
            status = await AdminServiceStub(channel).GetStatus(pb.GetStatusRequest())

    ends = {found.file: found.end_time.ToDatetime(UTC) for found in status.certificates}
    assert {"server.tls.certificate", "server.tls.client_ca"} == set(ends)
    assert abs(ends["server.tls.certificate"] - datetime.now(UTC) - timedelta(days=20)) < timedelta(hours=1)


@pytest.fixture
def log_settings() -> Iterator[None]:
    """Leave the log of this process as it was."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(LOGGER).setLevel(logging.NOTSET)


@pytest.mark.usefixtures("log_settings")
async def test_the_log_level_changes_until_it_is_set_back(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        changed = await replica.admin.SetLogLevel(pb.SetLogLevelRequest(level=pb.LOG_LEVEL_DEBUG))
        try:
            assert logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG)
        finally:
            back = await replica.admin.SetLogLevel(pb.SetLogLevelRequest(level=changed.previous_level))

        assert pb.LOG_LEVEL_DEBUG == back.previous_level
        assert not logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG)
        unnamed = await refused(replica.admin.SetLogLevel(pb.SetLogLevelRequest()))
        assert ("INVALID_REQUEST", "level") == (unnamed.reason, unnamed.metadata["field"])


async def test_the_status_is_shown_while_the_store_is_away(tmp_path: Path) -> None:
    callback = {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}
    server = {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0}
    with RedisServer(tmp_path / "redis") as redis:
        async with running_simulator(demo_world()) as url:
            config = configuration(url, redis.url, server=server, app={"callback": callback})
            async with running_broker(parse_config(config)) as broker:
                address = f"--address={broker.grpc_addresses[0]}"
                redis.kill()
                shown = await asyncio.to_thread(run, "status", address)

    assert 0 == shown.exit_code
    assert "groups are not shown" in shown.stdout
