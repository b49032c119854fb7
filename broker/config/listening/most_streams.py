"""How much one connection of a caller may carry."""

from broker.config.schema import Config

MOST_STREAMS = 20_000
"""How many calls one connection may carry where no callers are configured: this machine's own."""
SPARE = 1_000
"""For what is refused at once, and for health checks."""


def most_streams(config: Config) -> int:
    """Return how many calls one connection may carry: more than any caller's limits allow it.

    So a caller that asks for too much is told, before its further calls wait in its client.
    """
    limits = [caller.limits for caller in config.callers]
    return max((each.calls_at_once + each.streams + SPARE for each in limits), default=MOST_STREAMS)
