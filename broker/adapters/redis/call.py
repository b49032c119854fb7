"""One run of a script."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from broker.adapters.redis.servers.port import Server, Servers


class Call(NamedTuple):
    """A script, keys of one slot, and arguments."""

    text: str
    keys: Sequence[str]
    arguments: Sequence[Any]

    @property
    def words(self) -> tuple[Any, ...]:
        """Return what follows EVALSHA."""
        return (_digest(self.text), len(self.keys), *self.keys, *self.arguments)

    def encoded(self) -> Self:
        """Return the call with its text as bytes. Raises `UnicodeEncodeError`, for this call alone."""
        arguments = [given.encode() if isinstance(given, str) else given for given in self.arguments]
        return self._replace(arguments=arguments)


async def evaluate(redis: Redis, servers: Servers, call: Call) -> Any:  # noqa: ANN401 - as each script answers
    """Return what the script returns; a server that does not know the script gets it."""
    try:
        return await redis.evalsha(*call.words)
    except NoScriptError:
        await teach(servers.server(redis, call.keys[0] if call.keys else ""), call.text)
    try:
        return await redis.evalsha(*call.words)
    except NoScriptError:
        # The slot is on its way to another member.
        for _, server in servers.primaries(redis):
            await teach(server, call.text)
        return await redis.evalsha(*call.words)


async def teach(server: Server, text: str) -> None:
    """Load the script."""
    await server.execute_command("SCRIPT LOAD", text)


@lru_cache(maxsize=100)
def _digest(text: str) -> str:
    """Return the name by which Redis knows a script."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
