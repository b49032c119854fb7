"""How records, leases, event logs and notices are called in Redis; no secret is in any name."""

from broker.domain.ports.store import Notice, NoticeKind


class RedisKeys:
    """Names under one prefix; what a script touches together hashes to one slot of a cluster."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.channel = f"{prefix}:notices"
        self.probe = f"{prefix}:probe"
        """Nothing is there: deleting it proves that the server takes writes."""

    def record(self, name: str) -> str:
        """Return the hash that holds a record and the numbers of its fence."""
        return f"{self._prefix}:{{{name}}}:record"

    def lease(self, name: str) -> str:
        """Return the key that the holder of a lease owns."""
        return f"{self._prefix}:{{{name}}}:lease"

    def tally(self, name: str) -> str:
        """Return a counter's key."""
        return f"{self._prefix}:{{{name}}}:tally"

    def log(self, app: str) -> list[str]:
        """Return an app's events, what is known of the newest one, and when each group was last used."""
        return [f"{self._prefix}:{{events:{app}}}:{part}" for part in ("log", "head", "groups")]

    def seen(self, app: str, key: str) -> str:
        """Return what stands for an event that was appended."""
        return f"{self._prefix}:{{events:{app}}}:seen:{key}"

    def group(self, app: str, group: str) -> list[str]:
        """Return what one group has done with an app's events."""
        return [f"{self._prefix}:{{events:{app}}}:{part}:{group}" for part in ("state", "index", "times")]

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
