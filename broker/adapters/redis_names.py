"""How records, leases and notices are called in Redis; no secret is in any name."""

from broker.domain.ports import Notice, NoticeKind


class RedisNames:
    """Names under one prefix; what a script touches together hashes to one slot of a cluster."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.channel = f"{prefix}:notices"

    def record(self, name: str) -> str:
        """Return the hash that holds a record and the numbers of its fence."""
        return f"{self._prefix}:{{{name}}}:record"

    def lease(self, name: str) -> str:
        """Return the key that the holder of a lease owns."""
        return f"{self._prefix}:{{{name}}}:lease"

    def tally(self, name: str) -> str:
        """Return a counter's key."""
        return f"{self._prefix}:{{{name}}}:tally"

    def notice(self, kind: NoticeKind, name: str, fence: int) -> str:
        """Write a notice down."""
        return f"{kind} {fence} {name}"

    def read_notice(self, text: str) -> Notice | None:
        """Read a notice; None if it is not one of ours."""
        kind, _, rest = text.partition(" ")
        fence, _, name = rest.partition(" ")
        try:
            return Notice(NoticeKind(kind), name, int(fence))
        except ValueError:
            return None
