"""How `GetAccessToken` gives a token again for as long as it is fresh, with the life that is left."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from wecom_broker.v1 import token_service_pb2 as pb

from broker.domain.credentials import Credential
from broker.domain.ports.clock import Clock
from broker.server.grpc import messages
from broker.usecases.credentials.cache import CacheEntry, CredentialCache
from broker.usecases.shares.targets import Targets

STEPS_A_SECOND = 5
"""How exactly a `ttl` is told: rounded down to a fifth of a second."""


@dataclass(slots=True)
class WarmToken:
    """A token that a caller got."""

    entry: CacheEntry
    credential: Credential
    version: int
    """That of the targets: another one may mean another credential by the same words."""
    ends: float
    before: bytes
    after: bytes
    """What stands around the token's value in the response, which is in memory already; but for the `ttl`."""
    targets: Targets
    clock: Clock
    steps: int = -1
    """How many steps of life the response tells."""
    response: bytes = b""

    def again(self) -> bytes | None:
        """See `Kept.again`. Who gets a token again is not audited again."""
        entry, now = self.entry, self.clock.seconds()
        if (
            entry.credential is not self.credential
            or now >= entry.fresh_until
            or self.version != self.targets.version
        ):
            return None
        entry.used_at = now
        steps = int((self.ends - now) * STEPS_A_SECOND)
        if steps != self.steps:
            self.steps = steps
            # The messages of protobuf are put together by writing one after the other.
            self.response = self.before + messages.value_of(self.credential) + self.after + _life(steps)
        return self.response


class WarmTokens:
    """Repeat `GetAccessToken` where a call would be served from memory without a further look."""

    def __init__(self, targets: Targets, memory: CredentialCache, clock: Clock) -> None:
        self._targets = targets
        self._memory = memory
        self._clock = clock

    def keep(
        self, request: pb.GetAccessTokenRequest, response: pb.GetAccessTokenResponse
    ) -> WarmToken | None:
        """See `Repetition.keep`."""
        if request.HasField("min_ttl"):
            return None
        key = self._targets.located(messages.target(request.target))
        entry = self._memory.find(key) if key else None
        credential = entry.credential if entry else None
        if entry is None or credential is None or credential.generation != response.token.generation:
            return None
        told = pb.GetAccessTokenResponse(token=response.token).SerializeToString()
        before, _, after = told.partition(messages.value_of(credential))
        ends = credential.expires_at.timestamp()
        return WarmToken(
            entry, credential, self._targets.version, ends, before, after, self._targets, self._clock
        )


@lru_cache(maxsize=4096)
def _life(steps: int) -> bytes:
    return pb.GetAccessTokenResponse(ttl=timedelta(seconds=steps / STEPS_A_SECOND)).SerializeToString()
