"""The names of records, leases, groups, event logs and notices in Redis; no name contains a secret."""

from broker.domain.ports.store import Notice, NoticeKind


class RedisKeys:
    """Names under one prefix; all keys of a script hash to the same cluster slot."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.channel = f"{prefix}:notices"
        self.probe = f"{prefix}:probe"
        """This key never exists: deleting it proves that the server accepts writes."""

    def record(self, name: str) -> str:
        """Return the key of the hash that holds a record and its fencing numbers."""
        return f"{self._prefix}:{{{name}}}:record"

    def lease(self, name: str) -> str:
        """Return the key that the holder of a lease owns."""
        return f"{self._prefix}:{{{name}}}:lease"

    def tally(self, name: str) -> str:
        """Return a counter's key."""
        return f"{self._prefix}:{{{name}}}:tally"

    def names(self, group: str) -> str:
        """Return the key of the sorted set that holds a group's names."""
        return f"{self._prefix}:{{{group}}}:names"

    def log(self, app: str) -> list[str]:
        """Return the keys of an app's events, of the newest one's position, and of each group's last use."""
        return [f"{self._prefix}:{{events:{app}}}:{part}" for part in ("log", "head", "groups")]

    def seen(self, app: str, key: str) -> str:
        """Return the key that marks an event as appended."""
        return f"{self._prefix}:{{events:{app}}}:seen:{key}"

    def group(self, app: str, group: str) -> list[str]:
        """Return the keys of a group's progress in an app's events."""
        return [f"{self._prefix}:{{events:{app}}}:{part}:{group}" for part in ("state", "index", "times")]

    def notice(self, kind: NoticeKind, name: str, fence: int) -> str:
        """Return a notice as text."""
        return f"{kind} {fence} {name}"

    def read_notice(self, text: str) -> Notice | None:
        """Parse a notice; None if it is not one of ours."""
        kind, _, rest = text.partition(" ")
        fence, _, name = rest.partition(" ")
        try:
            return Notice(NoticeKind(kind), name, int(fence))
        except ValueError:
            return None
