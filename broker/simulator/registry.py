"""The endpoints by path: each is one small function, entered here by its decorator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.simulator.answers import Answer
    from broker.simulator.call import Call
    from broker.simulator.multipart import UploadedFile
    from broker.simulator.world.tokens import TokenKind
    from broker.simulator.world.world import World

    Act = Callable[[World, Call], Answer | UploadedFile]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold what is checked around an endpoint, and what it does."""

    method: str
    path: str
    token: TokenKind | None
    act: Act
    form_bytes: int = 0
    """So large may a multipart form be; 0 = the body is JSON."""


ENDPOINTS: dict[str, Endpoint] = {}


def endpoint(
    method: str, path: str, *, token: TokenKind | None = None, form_bytes: int = 0
) -> Callable[[Act], Act]:
    """Register the function as an endpoint; with `token`, only a living token of that kind gets in."""

    def register(act: Act) -> Act:
        if path in ENDPOINTS:
            raise ValueError(f"{path} is registered twice")
        ENDPOINTS[path] = Endpoint(method, path, token, act, form_bytes)
        return act

    return register


def path_of(name: str) -> str:
    """Find a path by its name under /cgi-bin, or by an ending that only it has. Raises ValueError.

    "gettoken" is /cgi-bin/gettoken, "corp/gettoken" is /cgi-bin/corpgroup/corp/gettoken.
    """
    wanted = "/" + name.strip("/")
    for path in (wanted, "/cgi-bin" + wanted):
        if path in ENDPOINTS:
            return path
    matches = [path for path in ENDPOINTS if path.endswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    raise ValueError(f"{name!r} is {'ambiguous' if matches else 'no endpoint'} of the simulator")


def path_or_all(name: str) -> str:
    """Find an endpoint's path; "*" stands for all of them. Raises ValueError."""
    return name if name == "*" else path_of(name)
