"""The endpoints by path: each is one small function, registered here by its decorator."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.simulator.answers import Answer
from broker.simulator.endpoints.call import Call
from broker.simulator.world import World
from broker.simulator.world.media import UploadedFile
from broker.simulator.world.paths import PATHS
from broker.simulator.world.tokens import TokenKind

Act = Callable[[World, Call], Answer | UploadedFile]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold what is checked around an endpoint, and what it does."""

    method: str
    path: str
    token: TokenKind | None
    act: Act
    form_bytes: int = 0
    """The largest allowed multipart form; 0 = the body is JSON."""
    bodyless: bool = False
    """Whether a POST needs no body."""


ENDPOINTS: dict[str, Endpoint] = {}


def endpoint(
    method: str, path: str, *, token: TokenKind | None = None, form_bytes: int = 0, bodyless: bool = False
) -> Callable[[Act], Act]:
    """Register the function as an endpoint; with `token`, it requires a living token of that kind."""

    def register(act: Act) -> Act:
        if path in ENDPOINTS:
            raise ValueError(f"{path} is registered twice")
        ENDPOINTS[path] = Endpoint(method, path, token, act, form_bytes, bodyless)
        PATHS.add(path)
        return act

    return register
