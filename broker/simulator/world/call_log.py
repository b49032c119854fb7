"""The log of calls: who called what and when, and the answer, without secrets."""

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from broker.simulator.world.paths import path_of

SECRET_NAMES = frozenset(
    {"access_token", "suite_access_token", "provider_access_token"}
    | {"secret", "corpsecret", "suite_secret", "provider_secret", "session_key"}
    | {"ticket", "suite_ticket", "user_ticket"}
    | {"code", "js_code", "auth_code", "pre_auth_code", "permanent_code"}
)
CODE_NAMES = ("code", "js_code", "auth_code")
_KEPT = 10_000


@dataclass(slots=True)
class CallRecord:
    """Hold one call; `errcode` and `status` are None until it is answered, if ever."""

    at: float
    method: str
    path: str
    query: Mapping[str, object]
    body: object = None
    corpid: str = ""
    agentid: int | None = None
    errcode: int | None = None
    status: int | None = None
    fault: str = ""


@dataclass(slots=True)
class Traffic:
    """Count the calls of one endpoint."""

    calls: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    errcodes: Counter[int] = field(default_factory=Counter)


class CallLog:
    """Count every call from its arrival, and keep the latest."""

    def __init__(self) -> None:
        self.records: deque[CallRecord] = deque(maxlen=_KEPT)
        self.codes: Counter[str] = Counter()
        self._traffic: dict[str, Traffic] = {}

    @contextmanager
    def record(self, record: CallRecord) -> Iterator[CallRecord]:
        """Count the call as in flight until it is over."""
        traffic = self._traffic.setdefault(record.path, Traffic())
        traffic.calls += 1
        traffic.in_flight += 1
        traffic.max_in_flight = max(traffic.max_in_flight, traffic.in_flight)
        self.records.append(record)
        try:
            yield record
        finally:
            traffic.in_flight -= 1
            if record.errcode is not None:
                traffic.errcodes[record.errcode] += 1

    def count_codes(self, fields: Mapping[str, object]) -> None:
        """Count the codes of a call, of logins and installs, under their digests, whatever its outcome."""
        self.codes.update(digest(value) for name in CODE_NAMES if isinstance(value := fields.get(name), str))

    def times_sent(self, code: str) -> int:
        """Return how many calls carried a code, whatever their outcome."""
        return self.codes[digest(code)]

    def calls(self, endpoint: str | None = None) -> int:
        """Return the number of calls so far, of one endpoint or of all. Raises ValueError."""
        return self.total() if endpoint is None else self.traffic(path_of(endpoint)).calls

    def in_flight(self, endpoint: str) -> int:
        """Return how many calls of an endpoint are not answered yet. Raises ValueError."""
        return self.traffic(path_of(endpoint)).in_flight

    def max_in_flight(self, endpoint: str) -> int:
        """Return the most calls of an endpoint that were ever in flight at once. Raises ValueError."""
        return self.traffic(path_of(endpoint)).max_in_flight

    def traffic(self, path: str) -> Traffic:
        """Return the counts of one endpoint."""
        return self._traffic.get(path) or Traffic()

    def paths(self) -> list[str]:
        """List the endpoints that were called."""
        return sorted(path for path, traffic in self._traffic.items() if traffic.calls)

    def total(self) -> int:
        """Return the number of all calls."""
        return sum(traffic.calls for traffic in self._traffic.values())

    def clear(self) -> None:
        """Reset the counts; calls in flight stay in flight."""
        self.records.clear()
        self.codes.clear()
        for traffic in self._traffic.values():
            traffic.calls, traffic.max_in_flight = 0, traffic.in_flight
            traffic.errcodes.clear()


def digest(secret: str) -> str:
    """Return the digest that replaces a secret in the log."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()[:16]


def redacted(fields: Mapping[str, object]) -> dict[str, object]:
    """Copy the fields without their secrets."""
    return {name: _redacted(name, value) for name, value in fields.items()}


def _redacted(name: str, value: object) -> object:
    if name in SECRET_NAMES:
        return "***"
    if isinstance(value, list):
        return [_redacted("", item) for item in value]
    return redacted(value) if isinstance(value, dict) else value
