"""How often and how many at once each caller may call: its limits, kept by this replica.

A caller's allowance for a minute is there at once and comes back evenly. The arithmetic is the generic
cell rate algorithm: one number for each caller, and no timer (docs/decisions/0010). Whoever sends many
calls in one moment is not refused for that, but its calls are begun at a pace that leaves room for
others; refusals are too.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from math import inf

from broker.domain.access import Caller, Limits
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerLimited
from broker.server.grpc.entry.fair_pool import FairPool
from broker.server.grpc.entry.pace import Pace

Leave = Callable[[], None]
"""Ends a call that was let in; called once."""
MINUTE = 60.0
ROUNDING = 1e-3
"""Seconds by which sums of fractions may be off."""
SOON = timedelta(seconds=1)
"""When a caller may come back that has too many calls open: nobody knows when they end."""
SLOWEST_PACE = 500.0
"""Calls a second, where the allowance of a minute, spread over it, is less."""
PENALTY = 10
"""How many calls each one of a caller counts for while many of its calls are being refused."""
BURST = 50
"""Calls that are begun at once."""
WEIGHT = 2 * 1024
"""A request of so many bytes counts as one call more."""
WEIGHT_OF_BODIES = 16 * 1024
"""The same for methods whose requests carry what somebody else wrote."""
WITH_BODIES = ("CallApi", "OpenEnvelope", "SealReply", "DecryptData")
REFUSALS_A_SECOND = 100.0
REFUSALS_AT_ONCE = 100
MOST_KEPT_BACK = 4_000
"""Refusals: each holds some 40 KB for as long as it waits. Further ones are sent at once."""
LONGEST_WAIT = 60.0


def weight_in(rpc: str) -> int:
    """Return how many bytes of a request of this method count as one call more."""
    return WEIGHT_OF_BODIES if rpc in WITH_BODIES else WEIGHT


class Admission:
    """Let callers in, each within its limits. An open broker has none.

    What is kept grows with the configured callers, never with their calls.
    """

    def __init__(
        self,
        policy: CallerPolicy,
        clock: Callable[[], float] = time.monotonic,
        pools: Mapping[str, FairPool] | None = None,
    ) -> None:
        self._policy = policy
        self._pools = pools or {}
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._refusals: dict[str, Pace] = {}
        policy.on_change(self._take_over)

    def enter(self, caller: Caller, *, stream: bool, rpc: str = "") -> Leave:
        """Let a call in; the caller of this ends it by what is returned. Raises `CallerLimited`.

        Some rpcs have a pool, of which each caller gets a share.
        """
        account = self._account(caller)
        if account is None:
            return _nothing
        account.spend(self._clock())
        leave = account.open_stream() if stream else account.begin_call()
        pool = self._pools.get(rpc)
        return _pooled(pool, caller.name, leave) if pool else leave

    def wait(self, caller: Caller) -> float:
        """Return how many seconds a call that was let in waits for its turn."""
        account = self._accounts.get(caller.name)
        if account is None:
            return 0.0
        now = self._clock()
        refusals = self._refusals.get(caller.name)
        if refusals and refusals.is_behind(now):
            account.pace.weigh(PENALTY - 1)
        return min(account.pace.wait(now), LONGEST_WAIT)

    def weigh(self, caller: Caller, size: int, weight: int) -> None:
        """Have the caller's next calls wait for a large request: one call more for each `weight` bytes."""
        if account := self._accounts.get(caller.name):
            account.pace.weigh(size / weight)

    def wait_of_refusal(self, caller: Caller | None) -> float:
        """Return how many seconds to keep a refusal back: who asks again at once would only be refused again.

        All strangers together are None.
        """
        name = caller.name if caller else ""
        pace = self._refusals.get(name)
        if pace is None:
            pace = self._refusals[name] = Pace(REFUSALS_A_SECOND, REFUSALS_AT_ONCE)
        now = self._clock()
        return pace.wait(now) if pace.lag(now) <= MOST_KEPT_BACK / REFUSALS_A_SECOND else 0.0

    def forgo_refusal(self, caller: Caller | None) -> None:
        """Give back the turn of a refusal whose caller left before: resets would soon have all of them."""
        if pace := self._refusals.get(caller.name if caller else ""):
            pace.give_back()

    def turnstile(self, caller: Caller) -> Callable[[], bool]:
        """Return what counts a call of this caller that ends at once, or says that `enter` must judge it.

        It is good until the rules change.
        """
        account = self._account(caller)
        return account.turnstile(self._clock, self._refusals) if account else _always

    def report(self, count: Callable[[str, int], None]) -> None:
        """Say how many calls of each caller were let in since the last report."""
        for name, account in self._accounts.items():
            count(name, account.let_in)
            account.let_in = 0

    def _account(self, caller: Caller) -> "_Account | None":
        account = self._accounts.get(caller.name)
        if account is None and not self._policy.is_open:
            account = self._accounts[caller.name] = _Account(caller)
        return account

    def _take_over(self) -> None:
        """Take the limits of a new configuration; what was spent stays spent."""
        for name, account in list(self._accounts.items()):
            if caller := self._policy.named(name):
                account.take_over(caller.limits)
            else:
                del self._accounts[name]
                self._refusals.pop(name, None)


class _Account:
    """What one caller has spent and has open."""

    def __init__(self, caller: Caller) -> None:
        self.take_over(caller.limits)
        self._name = caller.name
        self._paid_until = 0.0
        """The moment at which the whole allowance is there again."""
        self._calls = 0
        self._streams = 0
        self.let_in = 0
        """Calls since the last report."""

    def take_over(self, limits: Limits) -> None:
        """Go by these limits from now on."""
        self.limits = limits
        self._interval = MINUTE / limits.calls_per_minute if limits.calls_per_minute > 0 else inf
        self.pace = Pace(max(SLOWEST_PACE, limits.calls_per_minute / MINUTE), BURST)

    def spend(self, now: float) -> None:
        """Spend one call of the allowance. Raises `CallerLimited`."""
        if wait := self._wait(now):
            raise self._refusal("calls_per_minute", timedelta(seconds=wait))

    def turnstile(self, clock: Callable[[], float], refusals_of: Mapping[str, Pace]) -> Callable[[], bool]:
        """Return what begins a call that ends at once, if no limit is against it and no other call waits.

        As `spend` and `begin_call`, in one step: it is on the way of every call.
        """
        name = self._name

        def passes() -> bool:
            now = clock()
            refusals = refusals_of.get(name)
            if refusals and refusals.is_behind(now):
                return False
            paid_until = self._paid_until
            paid_until = (paid_until if paid_until > now else now) + self._interval  # noqa: FURB136 - faster
            if self._calls >= self.limits.calls_at_once or paid_until - now - MINUTE > ROUNDING:
                return False
            if not self.pace.passes(now):
                return False
            self._paid_until = paid_until
            self.let_in += 1
            return True

        return passes

    def _wait(self, now: float) -> float:
        """Spend one call, and return 0; if it comes too early, return for how many seconds it must wait."""
        if self._interval == inf:
            return MINUTE
        paid_until = max(self._paid_until, now) + self._interval
        if (too_early := paid_until - now - MINUTE) > ROUNDING:
            return too_early + ROUNDING
        self._paid_until = paid_until
        self.let_in += 1
        return 0.0

    def begin_call(self) -> Leave:
        if self._calls >= self.limits.calls_at_once:
            raise self._refusal("calls_at_once", SOON)
        self._calls += 1
        return self._end_call

    def open_stream(self) -> Leave:
        if self._streams >= self.limits.streams:
            raise self._refusal("streams", SOON)
        self._streams += 1
        return self._end_stream

    def _end_call(self) -> None:
        self._calls -= 1

    def _end_stream(self) -> None:
        self._streams -= 1

    def _refusal(self, limit: str, retry_after: timedelta) -> CallerLimited:
        return CallerLimited(
            f"{self._name} is over its limit {limit}", retry_after, caller=self._name, limit=limit
        )


def _pooled(pool: FairPool, caller: str, leave: Leave) -> Leave:
    """Let the call into the pool, too."""
    try:
        give_back = pool.enter(caller)
    except CallerLimited:
        leave()
        raise

    def end() -> None:
        give_back()
        leave()

    return end


def _nothing() -> None:
    """End a call that is not counted."""


def _always() -> bool:
    """Let a call pass that is not counted."""
    return True
