"""A backlog of renewals is worked off at a pace, those that end first before the others, and in time."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.credentials import Credential, CredentialKey, RefreshPolicy
from broker.domain.errors import WecomUnavailable
from broker.domain.secret import Secret
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.renewal_pace import MINUTE, TIMES_THE_MEAN, UNPACED, WINDOW, RenewalPace
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, LIFETIME, OWN, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
CHILDREN = 300
MEAN = CHILDREN * (MINUTE / (LIFETIME * 0.8))
"""How many renewals a minute keep that many."""


class Pace:
    """A pace, and what it counts."""

    def __init__(self, unpaced: int = 6) -> None:
        self.clock = FakeClock()
        self.memory = CredentialCache(RefreshPolicy())
        self.pace = RenewalPace(self.memory, self.clock, unpaced=unpaced)

    def credential(self, number: int, lifetime: timedelta = LIFETIME) -> Credential:
        now = self.clock.now()
        key = replace(OWN, corp_id=f"ww-{number}")
        return Credential(key, Secret("value"), 1, 1, now, now + lifetime, now)

    def admitted(self) -> int:
        """Start as many as are admitted now, and return how many those were."""
        for number in range(10_000):
            if not self.pace.admits():
                return number
            self.pace.started(replace(OWN, corp_id=f"ww-{number}"))
        raise AssertionError("without end")


async def test_few_renewals_are_not_paced_at_all() -> None:
    assert UNPACED * (WINDOW / MINUTE) == Pace(UNPACED).admitted()


async def test_as_many_again_may_start_once_the_window_has_passed() -> None:
    pace = Pace()
    assert 1 == pace.admitted()
    await pace.clock.advance(WINDOW - SECOND)
    assert 0 == pace.admitted()
    await pace.clock.advance(SECOND)
    assert 1 == pace.admitted()


async def test_many_credentials_may_be_renewed_faster_than_few() -> None:
    pace = Pace()
    for number in range(9600):
        pace.memory.put(pace.credential(number))

    # Each lives two hours, and is renewed after 96 minutes: 100 a minute.
    assert TIMES_THE_MEAN * 100 * (WINDOW / MINUTE) == pytest.approx(pace.admitted(), abs=1)


async def test_what_other_replicas_renew_counts_too_and_what_is_only_loaded_does_not() -> None:
    pace = Pace()
    pace.pace.seen(replace(pace.credential(1), renewed_at=pace.clock.now() - MINUTE))
    assert pace.pace.admits()

    pace.pace.seen(pace.credential(1))
    assert not pace.pace.admits()


async def test_a_replica_that_renews_nothing_forgets_what_others_renewed() -> None:
    pace = Pace()
    for number in range(10 * WINDOW // SECOND):
        pace.pace.seen(pace.credential(number))
        await pace.clock.advance(SECOND)

    assert len(pace.pace._recent) <= WINDOW // SECOND


async def test_its_own_renewal_counts_once() -> None:
    pace = Pace(unpaced=12)
    one = pace.credential(1)
    pace.pace.started(one.key)
    pace.pace.seen(one)
    pace.pace.ended(one.key)

    assert pace.pace.admits()


async def test_the_pace_rises_so_that_each_is_renewed_before_callers_would_have_to_wait() -> None:
    pace = Pace()
    now = pace.clock.now()
    pace.pace.await_turns([(now + 10 * MINUTE).timestamp()] * 1200)

    assert 120 * (WINDOW / MINUTE) == pytest.approx(pace.admitted(), abs=1)


@pytest.fixture
async def many(world: EngineWorld, wecom: SimulatedWecom) -> AsyncIterator[Replica]:
    """Return a replica that holds many watched children, whose renewals are paced from the first on."""
    world.core_options = {"unpaced": 1}
    replica = await world.start()
    replica.refresh_ahead()
    wecom.shares = [replace(CHILD_SHARE, agent_id=number) for number in range(CHILDREN)]
    watches = []
    for share in wecom.shares:
        watch = replica.engine.watch(CredentialKey.child_token(CRM, share))
        watches.append(watch)
        await world.run(anext(watch))
        await world.clock.advance(LIFETIME * 0.7 / CHILDREN)
    yield replica
    for watch in watches:
        await watch.aclose()


def fetches_a_minute(wecom: SimulatedWecom) -> Counter[int]:
    done = [call for call in wecom.calls if call.endpoint is Endpoint.CHILD_TOKEN and not call.error]
    return Counter(int(call.began.timestamp() // 60) for call in done)


@pytest.mark.slow
async def test_an_outage_of_wecom_is_followed_by_no_wave_and_nothing_expires(
    many: Replica, world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await clock.advance(LIFETIME * 0.5)
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: WecomUnavailable("busy"))
    await clock.advance(12 * MINUTE)
    wecom.recover()
    wecom.calls.clear()
    expired = []
    for _ in range(30):
        await clock.advance(MINUTE)
        now = clock.now()
        expired += [entry for entry in many.memory if entry.credential and not entry.credential.is_valid(now)]

    assert not expired
    by_minute = fetches_a_minute(wecom)
    assert by_minute.total() > 1.2 * 30 * MEAN, "the backlog was worked off"
    assert max(by_minute.values()) <= 3 * MEAN + 2
