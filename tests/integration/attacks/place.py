"""Where an attack happens, and who is there: for the processes that call."""

from dataclasses import dataclass

NEIGHBOUR, ATTACKER = "neighbour", "attacker"
CHILDREN = 1000
"""Corps whose first token somebody may ask for."""
VICTIMS = tuple(f"victim-{number}" for number in range(80))
"""Apps that nobody has asked for yet, for attacks on what is cold."""


@dataclass(frozen=True)
class Place:
    """Where everything is, for the processes that call."""

    address: str
    twin: str
    http_port: int
    redis_port: int


def bearer(caller: str) -> str:
    """Return a caller's token."""
    return f"the-bearer-token-of-the-{caller}"
