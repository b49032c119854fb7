"""Logins to a mini-program that is bound to another app: WeCom calls a living token dead (wecom-api A9)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from broker.domain.credentials import Credential, RefreshPolicy
from broker.domain.errors import ApiNotAuthorized, TokenRejected, WecomUnavailable
from broker.domain.secret import Secret
from broker.usecases.bindings import BELIEVED, Bindings
from tests.kit.memory.engine_world import OWN, EngineWorld, Replica, outcome
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

PATH = "/cgi-bin/miniprogram/jscode2session"


class FakeLogin:
    """WeCom's endpoint for a mini-program that is bound to the token's app, or not."""

    def __init__(self, is_alive: Callable[[Secret], bool]) -> None:
        self._is_alive = is_alive
        self.is_bound = True
        self.calls = 0

    async def __call__(self, token: Credential) -> str:
        self.calls += 1
        if not self.is_bound or not self._is_alive(token.value):
            died = TokenRejected("the token is dead", errcode=40014, endpoint=PATH)
            died.code_unread = True
            raise died
        return "a session"


@pytest.fixture
def login(wecom: SimulatedWecom) -> FakeLogin:
    return FakeLogin(wecom.is_alive)


def bindings_of(world: EngineWorld, replica: Replica) -> Bindings:
    return Bindings(replica.engine, replica.store, replica.clock, world.policy.cooldown)


@pytest.fixture
def bindings(world: EngineWorld, replica: Replica) -> Bindings:
    return bindings_of(world, replica)


async def test_a_login_with_an_app_that_is_not_bound_tells_the_administrator_after_one_new_token(
    world: EngineWorld, wecom: SimulatedWecom, bindings: Bindings, login: FakeLogin
) -> None:
    login.is_bound = False
    refused = await world.run(outcome(bindings.spend(OWN, login)))

    assert isinstance(refused, ApiNotAuthorized)
    assert ("40014", PATH, False) == (
        refused.metadata["errcode"],
        refused.metadata["endpoint"],
        refused.code_unread,
    )
    assert (2, 2) == (login.calls, wecom.count(Endpoint.APP_TOKEN))


async def test_later_logins_with_it_renew_no_token_on_any_replica(
    world: EngineWorld, wecom: SimulatedWecom, bindings: Bindings, login: FakeLogin
) -> None:
    login.is_bound = False
    other = bindings_of(world, await world.start())
    await world.run(outcome(bindings.spend(OWN, login)))
    for _ in range(9):
        await world.clock.advance(BELIEVED / 10)
        for each in (bindings, other):
            assert isinstance(await world.run(outcome(each.spend(OWN, login))), ApiNotAuthorized)
    assert (2, 2 + 2 * 9) == (wecom.count(Endpoint.APP_TOKEN), login.calls)

    await world.clock.advance(BELIEVED / 10)
    await world.run(outcome(bindings.spend(OWN, login)))
    assert 3 == wecom.count(Endpoint.APP_TOKEN)


async def test_all_logins_with_it_are_told_the_same_however_seldom_a_fetch_may_be_forced() -> None:
    async with EngineWorld(policy=RefreshPolicy(cooldown=5 * BELIEVED)) as world:
        replica = await world.start()
        bindings, login = bindings_of(world, replica), FakeLogin(world.wecom.is_alive)
        login.is_bound = False
        await world.run(replica.engine.get(OWN))
        told = []
        for _ in range(24):
            told.append(await world.run(outcome(bindings.spend(OWN, login))))
            await world.clock.advance(BELIEVED / 2)

        assert [ApiNotAuthorized] * 24 == [type(each) for each in told]
        assert 1 + 3 == world.wecom.count(Endpoint.APP_TOKEN)


async def test_a_login_succeeds_as_soon_as_the_app_is_bound(
    world: EngineWorld, bindings: Bindings, login: FakeLogin
) -> None:
    login.is_bound = False
    await world.run(outcome(bindings.spend(OWN, login)))
    login.is_bound = True

    assert "a session" == await world.run(bindings.spend(OWN, login))


async def test_logins_within_the_cooldown_of_a_report_are_told_the_same(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, bindings: Bindings, login: FakeLogin
) -> None:
    first = await world.run(replica.engine.get(OWN))
    await world.clock.advance(timedelta(minutes=5))
    await world.run(replica.engine.replace(OWN, first.generation))
    login.is_bound = False

    assert isinstance(await world.run(outcome(bindings.spend(OWN, login))), ApiNotAuthorized)
    assert 2 == wecom.count(Endpoint.APP_TOKEN)


async def test_a_dead_token_that_an_outage_keeps_is_an_outage(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, bindings: Bindings, login: FakeLogin
) -> None:
    wecom.kill((await world.run(replica.engine.get(OWN))).value)
    await world.clock.advance(timedelta(minutes=5))
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("away", endpoint=Endpoint.APP_TOKEN))
    refused = [await world.run(outcome(bindings.spend(OWN, login))) for _ in range(3)]
    wecom.recover()
    await world.clock.advance(world.policy.cooldown)

    assert {WecomUnavailable} == {type(each) for each in refused}
    assert "a session" == await world.run(bindings.spend(OWN, login))


async def test_a_token_that_died_is_renewed_though_another_one_was_refused_before(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, bindings: Bindings, login: FakeLogin
) -> None:
    login.is_bound = False
    await world.run(outcome(bindings.spend(OWN, login)))
    login.is_bound = True
    await world.clock.advance(world.policy.cooldown)
    held = await world.run(replica.engine.get(OWN))
    _, replaced = await world.run(replica.engine.replace(OWN, held.generation))
    wecom.kill(replaced.value)
    await world.clock.advance(world.policy.cooldown)

    assert "a session" == await world.run(bindings.spend(OWN, login))
