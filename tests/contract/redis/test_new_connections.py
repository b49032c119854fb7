"""What a new connection asks before its first command: each question takes time of that command."""

from typing import Any

import pytest

from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet, ask
from tests.kit.redis_at import connect_redis

SILENT: dict[str, Any] = {"protocol": 2, "driver_info": None}
"""The test's own connections ask nothing."""


@pytest.mark.parametrize("kind", ["redis", "sentinel", "cluster"])
async def test_it_introduces_no_library_and_asks_for_nothing_that_servers_refuse(
    kind: str, request: pytest.FixtureRequest
) -> None:
    servers: RedisServer | SentinelSet | ClusterSet = request.getfixturevalue(f"{kind}_server")
    members = [servers] if isinstance(servers, RedisServer) else servers.servers
    for server in members:
        ask(server.port, "CONFIG", "RESETSTAT", **SILENT)

    async with connect_redis(servers.url) as client:
        assert await client.seconds()

    asked: set[str] = set()
    for server in members:
        asked |= set(ask(server.port, "INFO", "commandstats", **SILENT))
        assert {} == ask(server.port, "INFO", "errorstats", **SILENT)
    assert "cmdstat_time" in asked
    assert "cmdstat_client|setinfo" not in asked
