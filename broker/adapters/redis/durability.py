"""Whether a Redis can prove that writes are on its disk."""

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.replies import cause_of

REMEDY = "set appendonly to yes"


async def durability_problem(client: RedisClient) -> str:
    """Return what keeps the server from proving that writes are on disk; empty if it can."""
    return await client.run(_problem)


async def _problem(redis: Redis) -> str:
    try:
        persistence = await redis.info("persistence")
    except ResponseError as error:
        return f"its persistence cannot be read ({cause_of(error)})"
    if not persistence.get("aof_enabled"):
        return await _problem_without_a_log(redis)
    try:
        await redis.execute_command("WAITAOF", 1, 0, 1)  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return f"it cannot say when a write is on disk ({cause_of(error)})"
    return ""


async def _problem_without_a_log(redis: Redis) -> str:
    """Return what a server without an append-only file can lose."""
    try:
        saves = (await redis.config_get("save")).get("save", "")
    except ResponseError:  # most users may not ask, and most hosts forbid it
        return f"appendonly is off, so a crash loses what its snapshots (if there are any) lack: {REMEDY}"
    if not saves:
        return f"persistence is off (no appendonly, no save), so a restart loses everything: {REMEDY}"
    return f"appendonly is off, so a crash loses what was written since the last snapshot: {REMEDY}"
