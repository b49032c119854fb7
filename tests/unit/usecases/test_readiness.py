"""A replica says that it is ready while it can give somebody a token, and else why it cannot."""

from datetime import timedelta

import pytest

from broker.domain.credentials import Credential, RefreshPolicy
from broker.domain.replica.health import ReplicaHealth
from broker.domain.replica.readiness import Hindrance, NotReady
from broker.domain.secret import Secret
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.readiness import STORE_PATIENCE, Readiness
from tests.kit.memory.engine_world import OWN
from tests.kit.memory.fake_clock import FakeClock

SECOND = timedelta(seconds=1)


class Ward:
    """A replica that may lose what it depends on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = ReplicaHealth(self.clock.now())
        self.memory = CredentialCache(RefreshPolicy())
        self.readiness = Readiness(self.health, self.memory, self.clock)

    def hold(self, lifetime: timedelta) -> None:
        now = self.clock.now()
        self.memory.put(Credential(OWN, Secret("value"), 1, 1, now, now + lifetime, now))

    def lose_store(self) -> None:
        self.health.store.seen(self.clock.now(), "Redis is not available: TimeoutError")

    def lose_wecom(self) -> None:
        self.health.wecom.seen(self.clock.now(), "WeCom cannot be reached")


@pytest.fixture
def ward() -> Ward:
    return Ward()


def test_it_is_ready_with_all_it_depends_on(ward: Ward) -> None:
    assert ward.readiness.obstacle() is None


def test_a_store_that_is_away_for_a_moment_is_no_obstacle(ward: Ward) -> None:
    ward.lose_store()

    assert ward.readiness.obstacle() is None


async def test_a_store_that_stays_away_is_one_where_nothing_valid_is_left(ward: Ward) -> None:
    ward.lose_store()
    await ward.clock.advance(STORE_PATIENCE)

    problem = "Redis is not available: TimeoutError, and no credential here is valid"
    assert NotReady(Hindrance.STORE, problem) == ward.readiness.obstacle()

    ward.hold(10 * SECOND)
    assert ward.readiness.obstacle() is None

    await ward.clock.advance(10 * SECOND)
    assert ward.readiness.obstacle()

    ward.health.store.seen(ward.clock.now())
    assert ward.readiness.obstacle() is None


async def test_wecom_is_one_at_once_where_nothing_valid_is_left(ward: Ward) -> None:
    ward.hold(10 * SECOND)
    ward.lose_wecom()
    assert ward.readiness.obstacle() is None

    await ward.clock.advance(10 * SECOND)

    problem = "WeCom cannot be reached, and no credential here is valid"
    assert NotReady(Hindrance.WECOM, problem) == ward.readiness.obstacle()


def test_one_that_stops_is_not_ready_though_it_could_serve(ward: Ward) -> None:
    ward.hold(10 * SECOND)
    ward.health.draining = True

    assert NotReady(Hindrance.STOPPING, "this replica is stopping") == ward.readiness.obstacle()
    assert ward.readiness.without_tokens() is None
