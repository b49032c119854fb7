"""Whether a Redis can prove that writes are on its disk, and on replicas."""

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.replies import cause_of
from broker.adapters.redis.servers.port import Server

REMEDY = "set appendonly to yes"


async def durability_problem(client: RedisClient, replicas: int = 0) -> str:
    """Return what keeps a server from proving that writes are on disk and on replicas; empty if all can."""

    async def look(redis: Redis) -> str:
        for _, server in client.servers.primaries(redis):
            if problem := await _problem(server) or await _too_few_replicas(server, replicas):
                return problem
        return ""

    await client.primaries()
    return await client.run(look)


async def _problem(server: Server) -> str:
    try:
        persistence = await server.execute_command("INFO", "persistence")
    except ResponseError as error:
        return f"its persistence cannot be read ({cause_of(error)})"
    if not persistence.get("aof_enabled"):
        return await _problem_without_a_log(server)
    try:
        await server.execute_command("WAITAOF", 1, 0, 1)
    except ResponseError as error:
        return f"it cannot say when a write is on disk ({cause_of(error)})"
    return ""


async def _problem_without_a_log(server: Server) -> str:
    """Return what a server without an append-only file can lose."""
    try:
        saves = (await server.execute_command("CONFIG GET", "save")).get("save", "")
    except ResponseError:  # most users may not ask, and most hosts forbid it
        return f"appendonly is off, so a crash loses what its snapshots (if there are any) lack: {REMEDY}"
    if not saves:
        return f"persistence is off (no appendonly, no save), so a restart loses everything: {REMEDY}"
    return f"appendonly is off, so a crash loses what was written since the last snapshot: {REMEDY}"


async def _too_few_replicas(server: Server, wanted: int) -> str:
    if not wanted:
        return ""
    try:
        found = await server.execute_command("INFO", "replication")
    except ResponseError as error:
        return f"its replicas cannot be counted ({cause_of(error)})"
    if found["connected_slaves"] >= wanted:
        return ""
    return f"replicas_acknowledge is {wanted}, and a primary has {found['connected_slaves']} replicas"
