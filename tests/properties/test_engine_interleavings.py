"""The engine under random interleavings of callers, faults and time, held against its rules.

A program is a list of steps. Callers run beside the steps; after each step the rules must hold.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.storage import codecs
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import BrokerError, RateLimited, SecretRejected, WecomProtocol, WecomUnavailable
from broker.simulator.world.tokens import Habit
from broker.usecases.fleet.leased_flight import LEASE
from broker.usecases.limits.error_cache import HOUR
from tests.kit.memory.engine_world import CHILD, LIFETIME, OWN, EngineWorld, Replica
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.wecom import Call, Endpoint, SimulatedWecom
from tests.properties.examples import MANY

KEYS = (OWN, CHILD)
SUBJECTS = {OWN: OWN.corp_id, CHILD: f"{CHILD.share_kind}:{CHILD.corp_id}:{CHILD.agent_id}"}
FETCHES = (Endpoint.APP_TOKEN, Endpoint.CHILD_TOKEN)
ERRORS: tuple[type[BrokerError], ...] = (WecomUnavailable, RateLimited, WecomProtocol, SecretRejected)
AFTERMATH = timedelta(seconds=60)
"""How long a disturbance of the store excuses what the store would have prevented."""
SLOWEST = timedelta(seconds=3)
"""How long WeCom takes at most while it is well: so much later it may end a token than the broker thinks."""
NO_TIME = timedelta(0)

Step = tuple[Any, ...]


def seconds(*choices: float) -> st.SearchStrategy[timedelta]:
    return st.sampled_from([timedelta(seconds=choice) for choice in choices])


replicas = st.integers(0, 2)
keys = st.sampled_from(KEYS)
needs = seconds(0, 0, 1800, 3 * 3600)


def getting(needs: st.SearchStrategy[timedelta]) -> st.SearchStrategy[Step]:
    """Draw a caller, or many."""
    herd = st.tuples(st.just("herd"), keys, needs)
    return st.one_of(herd, herd, st.tuples(st.just("get"), replicas, keys, needs))


asking = st.one_of(
    getting(needs),
    getting(needs),
    getting(needs),
    st.tuples(st.just("report"), replicas, keys, st.sampled_from(["current", "current", "old", "lying"])),
)
passing = st.one_of(
    st.tuples(st.just("advance"), seconds(0.05, 0.3, 1, 4, 11)),
    st.tuples(st.just("jump"), seconds(0.5, 6, 30, 1800, 5800, 7196, 7300)),
)
wecom_does = st.one_of(
    st.tuples(st.just("habit"), st.sampled_from(Habit)),
    st.tuples(st.just("delay"), seconds(0, 0.3, 3, 8)),
    st.tuples(st.just("fail"), st.sampled_from(FETCHES), st.sampled_from(ERRORS)),
    st.tuples(st.just("fail"), st.sampled_from(FETCHES), st.sampled_from(ERRORS)),
    st.tuples(st.just("recover")),
    st.tuples(st.just("kill"), keys),
)
store_does = st.one_of(
    st.tuples(st.just("cut"), replicas),
    st.tuples(st.just("mend"), replicas),
    st.tuples(st.just("deafen"), replicas),
    st.tuples(st.just("hear"), replicas),
    st.tuples(st.just("lose leases")),
    st.tuples(st.just("lose data")),
    st.tuples(st.just("crash"), replicas),
    st.tuples(st.just("skew"), replicas, seconds(-30, -1, 0, 1, 30)),
)


def long_program(step: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Draw some forty steps: a plain list would be short, one with a least length would not shrink."""
    return st.tuples(*[st.lists(step, max_size=12)] * 8).map(lambda parts: list(chain.from_iterable(parts)))


wecom_is_well = st.one_of(
    st.tuples(st.just("habit"), st.sampled_from(Habit)),
    st.tuples(st.just("delay"), seconds(0, 0.3, SLOWEST.total_seconds())),
    st.tuples(st.just("answers as asked"), st.booleans()),
)
programs = long_program(st.one_of(asking, asking, passing, passing, wecom_does, store_does))
calm_programs = long_program(st.one_of(asking, asking, passing, wecom_does))
modest = getting(st.just(NO_TIME))
# A demand for a longer life may rotate a parent twice while a child is fetched with it.
healthy_passing = st.one_of(
    st.tuples(st.just("advance"), seconds(0.05, 0.3, 1, 4, 11)),
    st.tuples(st.just("idle"), seconds(0.5, 6, 30, 1800, 5800, 7180, 7300)),
)
healthy_programs = long_program(st.one_of(modest, modest, healthy_passing, healthy_passing, wecom_is_well))
repeating = st.tuples(
    st.just("habit"), st.sampled_from([Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING])
)
outliving = st.tuples(st.just("live longer"), keys, seconds(0, 0.1, 1, 2.5))
outliving_programs = long_program(st.one_of(modest, modest, outliving, healthy_passing, repeating))

_generation = attrgetter("generation")


@dataclass
class Run:
    """One program, and what was seen of it so far."""

    world: EngineWorld
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    served: dict[tuple[int, CredentialKey], Credential] = field(default_factory=dict)
    expiries: dict[tuple[int, CredentialKey, str], datetime] = field(default_factory=dict)
    in_store: dict[CredentialKey, Credential] = field(default_factory=dict)
    forced: defaultdict[CredentialKey, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    nobody_may_fail: bool = False
    disturbed_at: datetime | None = None
    most_skew: timedelta = NO_TIME
    broken: list[str] = field(default_factory=list)

    # --- the steps

    async def step(self, word: str, *what: Any) -> None:
        """Do one step, let everybody react, and look at the rules."""
        await getattr(self, "_" + word.replace(" ", "_"))(*what)
        await settle()
        self._look_at_the_store()
        assert not self.broken, self.broken

    async def _get(self, number: int, key: CredentialKey, min_ttl: timedelta) -> None:
        self._call(number, key, lambda replica: replica.engine.get(key, min_ttl))

    async def _herd(self, key: CredentialKey, min_ttl: timedelta) -> None:
        for number in range(3):
            await self._get(number, key, min_ttl)

    async def _report(self, number: int, key: CredentialKey, which: str) -> None:
        last = self.served.get((number, key))
        generation = last.generation if last else 1
        generation += {"current": 0, "old": -1, "lying": 10**6}[which]

        async def report(replica: Replica) -> Credential:
            _, credential = await replica.engine.replace(key, generation)
            return credential

        self._call(number, key, report, reported=True)

    async def _advance(self, duration: timedelta) -> None:
        await self.world.clock.advance(duration)

    async def _jump(self, duration: timedelta) -> None:
        if duration >= LEASE / 3:
            self.disturbed_at = self.world.clock.now() + duration  # leases end while their holders are frozen
        await self.world.clock.jump(duration)

    async def _idle(self, duration: timedelta) -> None:
        """Let time pass once nothing is under way: a lease that is lost in its midst is no rotation."""
        await self.world.clock.advance(timedelta(seconds=12))
        await self.world.clock.jump(duration)

    async def _live_longer(self, key: CredentialKey, late: timedelta) -> None:
        """Let WeCom's own end of a value be later than the broker's, and time pass until the latter."""
        await self._idle(NO_TIME)
        held = max((one for (_, of), one in self.served.items() if of == key), default=None, key=_generation)
        if held and not held.promised_until and held.is_valid(self.world.clock.now()):
            token = self.world.wecom.world.tokens.find(held.value.reveal())
            assert token
            token.expires_at = (held.expires_at + late).timestamp()
            await self.world.clock.jump(held.expires_at - self.world.clock.now())

    async def _habit(self, habit: Habit) -> None:
        self.world.wecom.habit = habit

    async def _delay(self, delay: timedelta) -> None:
        self.world.wecom.delay = delay

    async def _answers_as_asked(self, early: bool) -> None:
        self.world.wecom.answers_as_asked = early

    async def _fail(self, endpoint: Endpoint, kind: type[BrokerError]) -> None:
        self.world.wecom.fail(endpoint, lambda: kind("so it is"))

    async def _recover(self) -> None:
        self.world.wecom.recover()

    async def _kill(self, key: CredentialKey) -> None:
        if value := self.world.wecom.last_value(SUBJECTS[key]):
            self.world.wecom.kill(value)

    async def _cut(self, number: int) -> None:
        self._disturb()
        self.world.replicas[number].store.cut()

    async def _mend(self, number: int) -> None:
        self._disturb()
        self.world.replicas[number].store.mend()

    async def _deafen(self, number: int) -> None:
        self.world.replicas[number].store.deaf = True

    async def _hear(self, number: int) -> None:
        self.world.replicas[number].store.deaf = False

    async def _lose_leases(self) -> None:
        self._disturb()
        self.world.shared.leases.clear()

    async def _lose_data(self) -> None:
        self._disturb()
        self.world.shared.lose_data()
        self.in_store.clear()
        self.expiries.clear()

    async def _crash(self, number: int) -> None:
        self._disturb()
        await self.world.replicas[number].crash()
        await settle()
        await self._start(number)
        for seen in [seen for seen in self.served if seen[0] == number]:
            del self.served[seen]

    async def _skew(self, number: int, skew: timedelta) -> None:
        self._disturb()
        self.most_skew = max(self.most_skew, abs(skew))
        self.world.replicas[number].clock.skew = skew

    # --- beginning and end

    async def start(self) -> None:
        """Start three brokers before a WeCom that tells what it sees."""
        self.world.wecom.on_call = self._on_call
        for number in range(3):
            await self._start(number)

    async def _start(self, number: int) -> None:
        replica = await self.world.start(number=number)
        claim = replica.engine._reports._claim_forced_fetch

        async def watched_claim(key: CredentialKey) -> bool:
            claimed = await claim(key)
            if claimed:
                self._on_forced(key)
            return claimed

        replica.engine._reports._claim_forced_fetch = watched_claim  # type: ignore[method-assign]

    async def finish(self) -> None:
        """Mend everything: then all callers come to an end, and all replicas to the same credentials."""
        self.world.wecom.recover()
        self.world.wecom.delay = NO_TIME
        for replica in self.world.replicas:
            replica.clock.skew = NO_TIME
            replica.store.deaf = False
            replica.store.mend()
        self._disturb()
        for _ in range(30):
            await self.world.clock.advance(timedelta(seconds=1))
        assert all(task.done() for task in self.tasks), "a caller hangs"
        self._agree()
        # Long enough for every error to be over, and for every token.
        await self.world.clock.jump(2 * HOUR + LIFETIME)
        for key in KEYS:
            for replica in self.world.replicas:
                await self.world.run(replica.engine.get(key))
        await settle()
        self._agree()
        for task in self.tasks:
            if not task.cancelled():
                task.result()

    def _agree(self) -> None:
        now = self.world.clock.now()
        for key in KEYS:
            entries = [replica.memory.find(key) for replica in self.world.replicas]
            held = [entry.credential for entry in entries if entry and entry.credential]
            valid = {(one.value.reveal(), one.generation) for one in held if one.is_valid(now)}
            assert len(valid) <= 1, f"rule 10: the replicas do not agree: {valid}"

    # --- the rules

    def _call(
        self,
        number: int,
        key: CredentialKey,
        ask: Callable[[Replica], Awaitable[Credential]],
        *,
        reported: bool = False,
    ) -> None:
        replica = self.world.replicas[number]
        before = self.served.get((number, key))

        async def caller() -> None:
            try:
                credential = await ask(replica)
            except BrokerError as error:
                self._on_error(replica, key, error, reported=reported)
            else:
                self._on_served(number, replica, before, credential)

        self.tasks.append(asyncio.create_task(caller()))

    def _on_served(
        self, number: int, replica: Replica, before: Credential | None, credential: Credential
    ) -> None:
        if self.world.replicas[number] is not replica:
            return  # it crashed meanwhile
        key, now = credential.key, replica.clock.now()
        if not credential.is_valid(now - 2 * self.most_skew):
            self._break(f"rule 4: {key.name} was served though it had expired")
        if before and credential.generation < before.generation:
            self._break(f"rule 3: the generation of {key.name} went back on replica {number}")
        if before and credential.generation == before.generation and credential.value != before.value:
            self._break(f"rule 3: one generation of {key.name} stands for two values")
        token = self.world.wecom.world.tokens.find(credential.value.reveal())
        assert token
        dead_for = timedelta(seconds=now.timestamp() - token.expires_at)
        if self.nobody_may_fail and not token.death and dead_for > SLOWEST:
            self._break(f"rule 5: {key.name} was served {dead_for} after it had ended")
        seen = (number, key, credential.value.reveal())
        earlier = self.expiries.get(seen)
        if earlier and now < earlier < credential.expires_at and not self._is_disturbed():
            self._break(f"rule 5: the same value of {key.name} got a later expiry")
        self.expiries[seen] = credential.expires_at
        last = self.served.get((number, key))
        if last is None or last.generation <= credential.generation:
            self.served[number, key] = credential

    def _on_error(self, replica: Replica, key: CredentialKey, error: BrokerError, *, reported: bool) -> None:
        if self.nobody_may_fail:
            self._break(
                f"rule 5: {type(error).__name__} for {key.name} though WeCom is well: {error.message}"
            )
        entry = replica.memory.find(key)
        # Who reports a token as dead is told why there is no other.
        if not reported and entry and entry.credential and entry.credential.is_valid(replica.clock.now()):
            self._break(f"rule 4: {type(error).__name__} though {key.name} is valid in memory")

    def _on_call(self, call: Call, wecom: SimulatedWecom) -> None:
        if self._is_disturbed():
            return
        others = [other for other in wecom.calls if other.ended is None and other is not call]
        if any(other.subject == call.subject for other in others):
            self._break(f"rule 1: two fetches of {call.subject} at once")
        for other in wecom.calls:
            if (
                call.endpoint is other.endpoint is Endpoint.APP_TOKEN
                and isinstance(other.error, SecretRejected)
                and other.ended
                and (self.disturbed_at is None or self.disturbed_at < other.ended)
                and call.began < other.ended + HOUR
            ):
                self._break("rule 7: a rejected secret was tried again")

    def _on_forced(self, key: CredentialKey) -> None:
        now = self.world.clock.now()
        soon = bool(self.forced[key]) and now - self.forced[key][-1] < self.world.policy.cooldown
        if soon and not self._is_disturbed():
            self._break(f"rule 6: two forced fetches of {key.name} in one cooldown")
        self.forced[key].append(now)

    def _look_at_the_store(self) -> None:
        for key in KEYS:
            record = self.world.shared.records.get(key.name)
            if record is None:
                continue
            stored, before = codecs.CREDENTIALS.decode(key, record), self.in_store.get(key)
            if before and (stored.fence < before.fence or stored.generation < before.generation):
                self._break(f"rule 3: {key.name} went back in the store")
            self.in_store[key] = stored

    def _disturb(self) -> None:
        self.disturbed_at = self.world.clock.now()

    def _is_disturbed(self) -> bool:
        """Tell whether the store cannot have kept the rules: it was touched lately, or is away."""
        if self.disturbed_at and self.world.clock.now() - self.disturbed_at < AFTERMATH:
            return True
        return any(replica.store.away or replica.clock.skew for replica in self.world.replicas)

    def _break(self, rule: str) -> None:
        self.broken.append(rule)


async def keeps_the_rules(program: list[Step], *, nobody_may_fail: bool = False) -> None:
    async with EngineWorld() as world:
        run = Run(world, nobody_may_fail=nobody_may_fail)
        await run.start()
        for word, *what in program:
            await run.step(word, *what)
        await run.finish()
        assert not run.broken, run.broken


few = settings(max_examples=120, deadline=None, derandomize=True, database=None)
many = settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@given(programs)
@few
def test_rules_1_to_7_hold_whatever_happens(program: list[Step]) -> None:
    asyncio.run(keeps_the_rules(program))


@given(calm_programs)
@few
def test_rules_1_to_7_hold_without_excuse_while_the_store_is_well(program: list[Step]) -> None:
    asyncio.run(keeps_the_rules(program))


@pytest.mark.slow
@given(programs)
@many
def test_rules_1_to_7_hold_whatever_happens_in_many_worlds(program: list[Step]) -> None:
    asyncio.run(keeps_the_rules(program))


@pytest.mark.slow
@given(calm_programs)
@many
def test_rules_1_to_7_hold_without_excuse_in_many_worlds(program: list[Step]) -> None:
    asyncio.run(keeps_the_rules(program))


@given(healthy_programs)
@few
def test_nobody_is_refused_while_wecom_is_well(program: list[Step]) -> None:
    asyncio.run(keeps_the_rules(program, nobody_may_fail=True))


@given(outliving_programs)
@few
def test_no_value_is_served_long_after_wecom_has_ended_it(program: list[Step]) -> None:
    asyncio.run(keeps_the_rules(program, nobody_may_fail=True))


def test_a_report_that_waits_for_hours_is_answered_with_what_is_valid_then() -> None:
    """A replica gets its store back while the machine is suspended."""
    waiting = [
        ("cut", 0),
        ("herd", OWN, NO_TIME),
        ("lose data",),
        ("delay", timedelta(seconds=0.3)),
        ("mend", 0),
        ("report", 0, OWN, "current"),
        ("mend", 1),
        ("jump", LIFETIME + timedelta(seconds=100)),
    ]
    asyncio.run(keeps_the_rules(waiting))
