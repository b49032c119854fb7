"""Authorisations of suites under random interleavings of pushes, exchanges, crashes, cancels and resets.

A program is a list of steps. After each step WeCom must not have read a code twice, and no token of a corp
that cancelled may have been served; at the end no permanent code that arrived is missing, and the list
explains what became of every code.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.adapters.storage import suite_codecs
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, StoreUnavailable, WecomUnavailable
from broker.domain.secret import Secret
from broker.domain.suites.authorization import AuthorizationState
from broker.domain.suites.installation import Installation
from broker.domain.suites.suite import Suite
from broker.domain.suites.view import ViewState
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import Replica
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import MARKET, TAILORED, ProviderWorld
from tests.kit.memory.suite_wecom import AUTH_INFO, EXCHANGE
from tests.properties.examples import MANY

CORPS = (demo.PARENT, demo.child(1))
SUITES = {suite.name: suite for suite in (MARKET, TAILORED)}
SECOND = timedelta(seconds=1)
PUSHES = 4
"""WeCom pushes once, and thrice again."""
TOLD = 1.0
"""Seconds after which every replica knows that a corp cancelled."""

Step = tuple[Any, ...]

replicas = st.integers(0, 2)
corps = st.sampled_from(CORPS)
suites = st.sampled_from(sorted(SUITES))


def seconds(*choices: float) -> st.SearchStrategy[timedelta]:
    return st.sampled_from([timedelta(seconds=choice) for choice in choices])


events = st.one_of(
    st.tuples(st.just("ticket"), replicas, suites),
    st.tuples(st.just("install"), replicas, suites, corps, st.integers(1, 3)),
    st.tuples(st.just("install"), replicas, suites, corps, st.integers(1, 3)),
    st.tuples(st.just("reset"), replicas, corps),
    st.tuples(st.just("cancel"), replicas, suites, corps),
    st.tuples(st.just("late cancel"), replicas, suites, corps),
    st.tuples(st.just("change"), replicas, suites, corps),
)
asking = st.tuples(st.just("get"), replicas, suites, corps)
passing = st.tuples(st.just("advance"), seconds(0.05, 0.3, 1, 4, 11, 60, 700))
wecom_does = st.one_of(
    st.tuples(st.just("delay"), seconds(0, 0.3, 3)),
    st.tuples(st.just("lose"), st.sampled_from([EXCHANGE, AUTH_INFO])),
    st.tuples(st.just("unread")),
)
faults = st.one_of(
    st.tuples(st.just("while sending"), st.sampled_from(["cut", "crash"]), seconds(0.3, 3)),
    st.tuples(st.just("while sending"), st.sampled_from(["cut", "crash"]), seconds(0.3, 3)),
    st.tuples(st.just("crash"), replicas),
    st.tuples(st.just("cut"), replicas),
    st.tuples(st.just("mend"), replicas),
    st.tuples(st.just("lose leases")),
)


def long_program(step: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Draw some thirty steps: a plain list would be short, one with a least length would not shrink."""
    return st.tuples(*[st.lists(step, max_size=10)] * 6).map(lambda parts: list(chain.from_iterable(parts)))


programs = long_program(st.one_of(events, events, events, asking, passing, passing, wecom_does, faults))


@dataclass
class Run:
    """One program, and what was seen of it so far."""

    world: ProviderWorld
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    pushed: dict[str, tuple[Suite, Secret]] = field(default_factory=dict)
    """The codes that a replica took, by their hashes."""
    cancelled_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When a replica was told that a corp cancelled which has not authorised again."""
    last_cancel: dict[tuple[str, str], datetime] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    """The auth_codes whose answers died with the replica that they had reached."""
    broken: list[str] = field(default_factory=list)

    async def step(self, word: str, *what: Any) -> None:
        """Do one step, let everybody react, and look at the rules."""
        await getattr(self, "_" + word.replace(" ", "_"))(*what)
        await settle()
        twice = [code for code, times in self.world.suite_wecom.codes.items() if times > 1]
        if twice:
            self.broken.append("WeCom read a code twice")
        assert not self.broken, self.broken

    # --- the steps

    async def _ticket(self, number: int, suite: str) -> None:
        pushed = self.world.suite_wecom.push(suite)
        await self._push(
            number, lambda replica: replica.core.suite_tickets.take(SUITES[suite], pushed.value, pushed.at)
        )

    async def _install(self, number: int, suite: str, corp: str, times: int) -> None:
        await self._take(number, SUITES[suite], self.world.suite_wecom.install(corp, suite), times)
        self.cancelled_at.pop(self._key(suite, corp), None)

    async def _reset(self, number: int, corp: str) -> None:
        if self._is_authorized("tailored", corp):
            code = self.world.suite_wecom.reset(corp)
            await self._take(number, TAILORED, code, 1, is_reset=True)

    async def _take(self, number: int, suite: Suite, code: Secret, times: int, **how: Any) -> None:
        at = self.world.clock.now()

        async def take(replica: Replica) -> None:
            await replica.core.suites.exchanges.take(suite, code, at, **how)

        for push in range(times):
            if await self._push((number + push) % 3, take):
                self.pushed[code.digest()] = (suite, code)

    async def _cancel(self, number: int, suite: str, corp: str) -> None:
        if not self._is_authorized(suite, corp):
            return
        self.world.suite_wecom.cancel(corp, suite)
        at, key = self.world.clock.now(), self._key(suite, corp)
        self.last_cancel[key] = at
        if await self._push_cancel(number, key, at):
            self.cancelled_at[key] = self.world.clock.now()

    async def _late_cancel(self, number: int, suite: str, corp: str) -> None:
        """Push the last cancel again; the corp may have come back since."""
        key = self._key(suite, corp)
        if key in self.last_cancel:
            await self._push_cancel(number, key, self.last_cancel[key])

    async def _push_cancel(self, number: int, key: tuple[str, str], at: datetime) -> bool:
        async def cancel(replica: Replica) -> None:
            await replica.core.suites.cancellation.cancel(SUITES[key[0]], key[1], at)
            replica.core.suites.rereading.start(key)

        return await self._push(number, cancel)

    async def _change(self, number: int, suite: str, corp: str) -> None:
        key = self._key(suite, corp)

        async def change(replica: Replica) -> None:
            await replica.core.authorizations.mark_stale(key)
            replica.core.suites.rereading.start(key)

        await self._push(number, change)

    async def _push(self, number: int, act: Callable[[Replica], Awaitable[object]]) -> bool:
        """Push to one replica, and to the next ones if it cannot take it; return whether one could."""
        for push in range(PUSHES):
            try:
                await self.world.run(_done(act(self.world.replicas[(number + push) % 3])))
            except StoreUnavailable:
                continue
            return True
        return False

    async def _get(self, number: int, suite: str, corp: str) -> None:
        replica, key = self.world.replicas[number], self._key(suite, corp)

        async def get() -> None:
            try:
                found = await replica.core.authorizations.find(SUITES[suite], key[1])
                asked_at = self.world.clock.now()
                await replica.engine.get(CredentialKey(suite, key[1], found.agent_id))
            except BrokerError:
                return
            told = self.cancelled_at.get(key)
            if told and not replica.store.away and (asked_at - told).total_seconds() > TOLD:
                self.broken.append(f"a token of {corp} was served after it had cancelled {suite}")

        self.tasks.append(asyncio.create_task(get()))

    async def _advance(self, duration: timedelta) -> None:
        await self.world.clock.advance(duration)

    async def _delay(self, delay: timedelta) -> None:
        self.world.suite_wecom.delay = delay

    async def _lose(self, path: str) -> None:
        self.world.suite_wecom.lose(path)

    async def _unread(self) -> None:
        self.world.suite_wecom.fail(EXCHANGE, _unread)

    async def _crash(self, number: int) -> None:
        replica = self.world.replicas[number]
        if replica.store.away:
            # What it could not store dies with it: nobody promises more.
            self.excused |= {
                answer.auth_code
                for answer in self.world.suite_wecom.exchanged
                if answer.replica == number and not self._is_stored(answer.auth_code)
            }
        await replica.crash()
        await settle()
        await self.world.start(number=number)

    async def _cut(self, number: int) -> None:
        self.world.replicas[number].store.cut()

    async def _mend(self, number: int) -> None:
        self.world.replicas[number].store.mend()

    async def _while_sending(self, fault: str, delay: timedelta) -> None:
        """Install, and strike the replica that waits for the permanent code."""
        self.world.suite_wecom.delay = delay
        await self._install(0, "market", CORPS[0], 1)
        for _ in range(40):
            for number, replica in enumerate(self.world.replicas):
                if replica.core.suites.exchanges.is_sending:
                    await getattr(self, f"_{fault}")(number)
                    return
            await self.world.clock.advance(SECOND / 10)

    async def _lose_leases(self) -> None:
        self.world.shared.leases.clear()

    # --- the end

    async def finish(self) -> None:
        """Mend everything: then all replicas know the same, and every code is explained."""
        self.world.suite_wecom.delay = timedelta(0)
        self.world.suite_wecom.recover()
        for replica in self.world.replicas:
            replica.store.mend()
        await self.world.clock.advance(20 * SECOND)
        for suite in SUITES.values():
            assert await self.world.push(self.world.replicas[0], suite)
        await self.world.clock.advance(timedelta(minutes=25))
        assert all(task.done() for task in self.tasks), "a caller hangs"
        for task in self.tasks:
            if not task.cancelled():  # its replica crashed
                task.result()
        for suite in SUITES.values():
            await self._look_at(suite)
        assert not self.broken, self.broken

    async def _look_at(self, suite: Suite) -> None:
        held = [replica.core.authorizations.of(suite.name) for replica in self.world.replicas]
        assert held[0] == held[1] == held[2], "the replicas do not agree"
        views = await self.world.replicas[0].core.suites.overview.list(suite.name)
        assert ViewState.PENDING not in {view.state for view in views}
        listed = {view.code_hash for view in views}
        for code_hash, (of, _) in self.pushed.items():
            if of is suite:
                assert code_hash in listed or self._is_done(suite, code_hash), "a code is not explained"
        for corp in CORPS:
            if self._is_authorized(suite.name, corp) and self._has_arrived(suite, corp):
                found = self.world.replicas[0].core.authorizations.get(self._key(suite.name, corp))
                assert found, "a permanent code that arrived is lost"
                if found.state is not AuthorizationState.CANCELLED:
                    assert self.world.suite_wecom.permanent_code(corp, suite.name) == found.permanent_code
        for found in held[0]:
            if found.state is AuthorizationState.CANCELLED:
                assert found.permanent_code is None
                for replica in self.world.replicas:
                    assert (
                        replica.memory.get(CredentialKey(suite.name, found.corp_id, found.agent_id)) is None
                    )

    def _has_arrived(self, suite: Suite, corp: str) -> bool:
        """Return whether WeCom told the corp's present code to a replica that lived to keep it."""
        code = self.world.suite_wecom.permanent_code(corp, suite.name).reveal()
        answers = [answer for answer in self.world.suite_wecom.exchanged if answer.permanent_code == code]
        return bool(answers) and answers[-1].auth_code not in self.excused

    def _is_done(self, suite: Suite, code_hash: str) -> bool:
        found = self.world.replicas[0].core.installations.get((suite.name, code_hash))
        return found is not None and (bool(found.corp_id) or found.is_settled)

    def _is_stored(self, auth_code: str) -> bool:
        suite, code = self.pushed[Secret(auth_code).digest()]
        key = (suite.name, code.digest())
        record = self.world.shared.records[Installation.name_of(key)]
        return bool(suite_codecs.INSTALLATIONS.decode(key, record).corp_id)

    def _is_authorized(self, suite: str, corp: str) -> bool:
        try:
            return bool(self.world.suite_wecom.world.suites.active(suite, corp))
        except LookupError:
            return False

    def _key(self, suite: str, corp: str) -> tuple[str, str]:
        return suite, self.world.suite_wecom.corp_id(corp, suite)


async def _done(work: Awaitable[object]) -> object:
    return await work


def _unread() -> WecomUnavailable:
    error = WecomUnavailable("no connection")
    error.code_unread = True
    return error


async def keeps_the_promises(program: list[Step]) -> None:
    async with ProviderWorld(children=1) as world:
        run = Run(world)
        await world.fleet(3)
        for suite in SUITES.values():
            await world.push(world.replicas[0], suite)
        for word, *what in program:
            await run.step(word, *what)
        await run.finish()


CUT_OFF_WITH_THE_NEWER_CODE: list[Step] = [
    ("lose", AUTH_INFO),
    ("lose", EXCHANGE),
    ("install", 1, "market", demo.PARENT, 1),
    ("install", 0, "tailored", demo.child(1), 1),
    ("while sending", "crash", SECOND * 0.3),
    ("reset", 0, demo.child(1)),
    ("while sending", "cut", SECOND * 0.3),
    ("advance", SECOND * 11),
]
"""It was found at random: another replica wrote that WeCom refuses the older code."""

few = settings(max_examples=60, deadline=None, derandomize=True, database=None)
many = settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@given(programs)
@example(CUT_OFF_WITH_THE_NEWER_CODE)
@few
def test_no_code_is_sent_twice_and_no_permanent_code_is_lost(program: list[Step]) -> None:
    asyncio.run(keeps_the_promises(program))


@pytest.mark.slow
@given(programs)
@many
def test_no_code_is_sent_twice_and_no_permanent_code_is_lost_in_many_worlds(program: list[Step]) -> None:
    asyncio.run(keeps_the_promises(program))
