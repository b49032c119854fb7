"""How far replicas are behind their primary, by its own account."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from redis.exceptions import ResponseError

from broker.adapters.redis.servers.port import Server
from broker.domain.stores.status import Primary


async def primary_at(address: str, server: Server) -> Primary:
    """Return what the server says; the address alone if its user may not ask."""
    try:
        told = await server.execute_command("INFO", "replication")
    except ResponseError:
        return Primary(address)
    return primary_of(address, told)


def primary_of(address: str, told: Mapping[str, Any]) -> Primary:
    """Return what the section `replication` of INFO means."""
    count = int(told["connected_slaves"])
    replicas = [told[f"slave{number}"] for number in range(count)]
    online = [replica for replica in replicas if replica["state"] == "online"]
    if not online:
        return Primary(address, count)
    return Primary(
        address,
        count,
        timedelta(seconds=max(int(replica["lag"]) for replica in online)),
        max(0, told["master_repl_offset"] - min(int(replica["offset"]) for replica in online)),
    )
