"""Limits: quotas that close an endpoint for a window, and the ban after wrong secrets."""

from collections.abc import Hashable
from dataclasses import dataclass

from broker.simulator.world.paths import path_of


@dataclass(frozen=True, slots=True)
class Quota:
    """Limit the calls of one corp in a window."""

    limit: int
    seconds: float = 60.0


@dataclass(slots=True)
class _Window:
    ends_at: float
    used: int = 0


class Counters:
    """Count calls by name; a quota that is exceeded blocks for a whole window from then on."""

    def __init__(self) -> None:
        self._windows: dict[Hashable, _Window] = {}

    def spend(self, name: Hashable, quota: Quota, now: float) -> bool:
        """Count one call; return whether it is allowed."""
        window = self._windows.get(name)
        if window is None or now >= window.ends_at:
            window = self._windows[name] = _Window(now + quota.seconds)
        window.used += 1
        if window.used == quota.limit + 1:
            window.ends_at = now + quota.seconds
        return window.used <= quota.limit

    def clear(self) -> None:
        """Reset the counts."""
        self._windows.clear()


class Quotas:
    """Count calls per endpoint and corp."""

    def __init__(self) -> None:
        self._quotas: dict[str, Quota] = {}
        self._counters: dict[str, Counters] = {}

    def set(self, endpoint: str, quota: Quota) -> None:
        """Set the quota of an endpoint and reset its counts. Raises ValueError."""
        self.clear(endpoint)
        self._quotas[path_of(endpoint)] = quota

    def clear(self, endpoint: str | None = None) -> None:
        """Lift every quota, or that of one endpoint. Raises ValueError."""
        paths = set(self._quotas) if endpoint is None else {path_of(endpoint)}
        for path in paths:
            self._quotas.pop(path, None)
            self._counters.pop(path, None)

    def spend(self, path: str, corpid: str, now: float) -> bool:
        """Count one call; return whether it is allowed."""
        quota = self._quotas.get(path)
        if quota is None:
            return True
        return self._counters.setdefault(path, Counters()).spend(corpid, quota, now)


class SecretBans:
    """Ban addresses that kept giving wrong secrets, for all corps that call from there."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[float]] = {}
        self._until: dict[str, float] = {}

    def wrong_secret(self, ip: str, now: float, *, limit: int, seconds: float) -> None:
        """Count a wrong secret; the one that reaches the limit starts the ban."""
        recent = [at for at in self._wrong.get(ip, []) if at > now - seconds]
        self._wrong[ip] = [*recent, now]
        if len(self._wrong[ip]) >= limit:
            self._wrong[ip] = []
            self._until[ip] = now + seconds

    def banned(self, ip: str, now: float) -> bool:
        """Return whether the address is banned now."""
        return now < self._until.get(ip, 0.0)

    def clear(self) -> None:
        """Lift all bans (接口频率自助解封)."""
        self._wrong.clear()
        self._until.clear()
