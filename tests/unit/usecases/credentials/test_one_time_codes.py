"""A call that spends a one-time code: sent once, and its error says whether the code is still good."""

import pytest

from broker.domain.credentials import Credential
from broker.domain.errors import (
    BrokerError,
    CodeRejected,
    IpNotTrusted,
    SecretRejected,
    TokenRejected,
    WecomUnavailable,
)
from broker.usecases.credentials.one_time_codes import spend_code
from tests.kit.memory.engine_world import OWN, EngineWorld, Replica, outcome
from tests.kit.memory.wecom import Endpoint, SimulatedWecom


def failed(kind: type[BrokerError], *, code_unread: bool) -> BrokerError:
    error = kind("no", errcode=40014)
    error.code_unread = code_unread
    return error


class Script:
    """Calls with a code that end as written; the last one succeeds."""

    def __init__(self, *errors: BrokerError) -> None:
        self.errors = list(errors)
        self.tokens: list[Credential] = []

    async def __call__(self, token: Credential) -> str:
        self.tokens.append(token)
        if self.errors:
            raise self.errors.pop(0)
        return "spent"


async def spent(world: EngineWorld, replica: Replica, script: Script) -> object:
    return await world.run(outcome(spend_code(replica.engine, OWN, script)))


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("kind", [WecomUnavailable, IpNotTrusted, CodeRejected])
async def test_an_error_is_passed_on_with_what_it_says_of_the_code(
    world: EngineWorld, replica: Replica, kind: type[BrokerError], unread: bool
) -> None:
    script = Script(failed(kind, code_unread=unread))
    error = await spent(world, replica, script)

    assert isinstance(error, kind)
    assert (unread, 1) == (error.code_unread, len(script.tokens))


async def test_a_token_that_is_refused_before_the_code_is_read_is_replaced_and_the_code_sent_again(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica
) -> None:
    script = Script(failed(TokenRejected, code_unread=True))

    assert "spent" == await spent(world, replica, script)
    assert (2, 2) == (len({token.generation for token in script.tokens}), wecom.count(Endpoint.APP_TOKEN))


async def test_a_token_that_is_refused_after_the_code_may_be_read_ends_it(
    world: EngineWorld, replica: Replica
) -> None:
    script = Script(failed(TokenRejected, code_unread=False))
    error = await spent(world, replica, script)

    assert isinstance(error, WecomUnavailable)
    assert (False, 1) == (error.code_unread, len(script.tokens))


async def test_a_code_that_no_token_carries_is_still_good(world: EngineWorld, replica: Replica) -> None:
    script = Script(*(failed(TokenRejected, code_unread=True) for _ in range(5)))
    error = await spent(world, replica, script)

    assert isinstance(error, WecomUnavailable)
    assert (True, 2) == (error.code_unread, len(script.tokens))


async def test_a_second_try_that_may_be_read_decides(world: EngineWorld, replica: Replica) -> None:
    script = Script(failed(TokenRejected, code_unread=True), failed(WecomUnavailable, code_unread=False))
    error = await spent(world, replica, script)

    assert isinstance(error, WecomUnavailable)
    assert not error.code_unread


async def test_without_a_token_the_code_is_not_sent_and_is_still_good(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong", errcode=40001))
    script = Script()
    error = await spent(world, replica, script)

    assert isinstance(error, SecretRejected)
    assert (True, []) == (error.code_unread, script.tokens)


async def test_without_a_second_token_the_code_is_still_good(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica
) -> None:
    await world.run(replica.engine.get(OWN))
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong", errcode=40001))
    script = Script(failed(TokenRejected, code_unread=True))
    error = await spent(world, replica, script)

    assert isinstance(error, BrokerError)
    assert (True, 1) == (error.code_unread, len(script.tokens))
