"""The names of records, leases, groups, event logs and notices in Redis; no name contains a secret."""

import re

from broker.domain.ports.store import Notice, NoticeKind

PUBLISHED = [kind for kind in NoticeKind if kind not in (NoticeKind.CONNECTED, NoticeKind.READABLE)]
NOTICE = re.compile(rf"(?P<kind>{'|'.join(PUBLISHED)}) (?P<fence>[0-9]{{1,19}}) (?P<name>.*)", re.DOTALL)

TYPES = {
    **dict.fromkeys(("record", "head", "state"), "hash"),
    **dict.fromkeys(("lease", "tally", "seen"), "string"),
    **dict.fromkeys(("names", "groups", "index", "times"), "zset"),
    "log": "stream",
}


class RedisKeys:
    """Names under one prefix; all keys of a script hash to the same cluster slot."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.channel = f"{prefix}:notices"
        self.probe = f"{prefix}:probe"
        """This key never exists: deleting it proves that the server accepts writes."""

    @staticmethod
    def type_of(key: str) -> str:
        """Return the type of what a broker keeps under a key, by the word after the key's slot; "" = any."""
        return TYPES.get(key.rpartition("}:")[2].partition(":")[0], "")

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
        """Parse a notice; None if it is none of ours: anybody who reaches the store may publish."""
        if found := NOTICE.fullmatch(text):
            return Notice(NoticeKind(found["kind"]), found["name"], int(found["fence"]))
        return None
