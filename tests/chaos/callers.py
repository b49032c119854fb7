"""A caller who knows several addresses, and what became of its calls."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
import grpc.aio

from tests.kit.processes.fleet import Replica, refusal

AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
"""After these a call that may be made twice is made again."""

Answer = TypeVar("Answer")


@dataclass
class Tally:
    """Calls of one kind."""

    made: int = 0
    repeated: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By reason, or by status where no broker answered."""


class Caller:
    """Call at a random address; a call without an answer is made again, once at each other address."""

    def __init__(self, replicas: Sequence[Replica], chance: random.Random) -> None:
        self._replicas = replicas
        self._chance = chance

    async def ask(self, tally: Tally, call: Callable[[Replica], Awaitable[Answer]]) -> Answer | None:
        """Return the answer; None after a failure that stands."""
        tally.made += 1
        replicas = self._chance.sample(self._replicas, len(self._replicas))
        for left, replica in zip(reversed(range(len(replicas))), replicas, strict=True):
            try:
                return await call(replica)
            except grpc.aio.AioRpcError as error:
                if not left or error.code() not in AGAIN:
                    tally.failed[refusal(error).reason or error.code().name] += 1
                    break
            tally.repeated += 1
        return None
