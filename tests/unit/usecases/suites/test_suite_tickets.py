"""The suite_ticket: pushed by WeCom, durable before it is answered, the newest one used."""

import asyncio
from datetime import timedelta

import pytest

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import StoreUnavailable, SuiteTicketMissing
from broker.domain.secret import Secret
from tests.kit.memory.engine_world import outcome
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import MARKET, SECOND, ProviderWorld
from tests.kit.memory.suite_wecom import SUITE_TOKEN

KEY = CredentialKey.suite_token(MARKET)
MINUTE = timedelta(minutes=1)


async def test_a_suite_token_is_fetched_with_the_ticket_that_was_pushed_to_another_replica(
    world: ProviderWorld,
) -> None:
    first, second = await world.fleet(2)
    assert await world.push(first)

    token = await world.run(second.engine.get(KEY))

    assert token.value
    assert 1 == world.suite_wecom.count(SUITE_TOKEN)


async def test_a_late_push_of_an_older_ticket_changes_nothing(world: ProviderWorld) -> None:
    replica = await world.start()
    older = world.suite_wecom.push()
    await world.clock.advance(MINUTE)
    newer = world.suite_wecom.push()

    assert await replica.core.suite_tickets.take(MARKET, newer.value, newer.at)
    assert not await replica.core.suite_tickets.take(MARKET, older.value, older.at)

    assert newer.value == (await replica.core.suite_tickets.current(MARKET)).value


async def test_a_late_push_to_a_replica_that_has_not_heard_of_the_newer_one_changes_nothing(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    older = world.suite_wecom.push()
    await world.clock.advance(MINUTE)
    newer = world.suite_wecom.push()
    await replica.core.suite_tickets.take(MARKET, newer.value, newer.at)
    late = await world.start()

    assert not await late.core.suite_tickets.take(MARKET, older.value, older.at)

    assert newer.value == (await late.core.suite_tickets.current(MARKET)).value


async def test_a_new_replica_finds_the_last_ticket_in_the_store(world: ProviderWorld) -> None:
    first = await world.start()
    await world.push(first)
    await first.crash()

    second = await world.start()

    assert (await world.run(second.engine.get(KEY))).value


async def test_a_ticket_that_cannot_be_stored_is_not_taken(world: ProviderWorld) -> None:
    replica = await world.start()
    replica.store.cut()

    pushed = world.suite_wecom.push()
    with pytest.raises(StoreUnavailable):
        await replica.core.suite_tickets.take(MARKET, pushed.value, pushed.at)


async def test_without_a_ticket_the_error_says_what_is_missing_and_what_to_do(world: ProviderWorld) -> None:
    replica = await world.start()

    error = await outcome(world.run(replica.engine.get(KEY)))

    assert isinstance(error, SuiteTicketMissing)
    assert "no suite_ticket of market has ever arrived" in error.message
    assert "press refresh (刷新ticket) in the provider console" in error.message
    assert "/callback/market" in error.message
    assert 0 == world.suite_wecom.count(SUITE_TOKEN)


async def test_the_first_ticket_ends_the_refusal_at_once_on_every_replica(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    for replica in (first, second):
        assert isinstance(await outcome(world.run(replica.engine.get(KEY))), SuiteTicketMissing)

    await world.push(first)
    await world.clock.advance(SECOND)

    assert (await world.run(second.engine.get(KEY))).value


async def test_a_ticket_works_for_half_an_hour_and_two_missed_pushes_do_no_harm(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.clock.advance(29 * MINUTE)
    assert (await world.run(replica.engine.get(KEY))).value

    await world.clock.advance(2 * MINUTE)

    assert "for 30 minutes, has ended" in replica.core.suite_tickets.status(MARKET).problem
    # Clocks may be apart: WeCom is asked for as long as it might still take the ticket.
    error = await outcome(world.run(replica.engine.refresh(KEY)))
    assert isinstance(error, SuiteTicketMissing)
    assert "press refresh" in error.message
    assert ("40085", "market") == (error.metadata["errcode"], error.metadata["app"])
    await world.clock.advance(10 * MINUTE)
    calls = world.suite_wecom.count(SUITE_TOKEN)
    error = await outcome(world.run(replica.engine.refresh(KEY)))
    assert isinstance(error, SuiteTicketMissing)
    assert "for 30 minutes, has ended" in error.message
    assert calls == world.suite_wecom.count(SUITE_TOKEN)
    # What was fetched with it goes on working.
    assert (await world.run(replica.engine.get(KEY))).value


async def test_a_ticket_that_is_about_to_end_is_reported_before_it_ends(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.clock.advance(21 * MINUTE)
    assert "" == replica.suite_witness.problems[-2]

    await world.clock.advance(2 * MINUTE)

    assert "is about to end" in replica.suite_witness.problems[-2]


async def test_a_refused_ticket_is_not_tried_again_before_the_next_one_comes(world: ProviderWorld) -> None:
    replica = await world.start()
    await replica.core.suite_tickets.take(MARKET, Secret("not-a-ticket-of-wecom"), world.clock.now())
    assert isinstance(await outcome(world.run(replica.engine.get(KEY))), SuiteTicketMissing)
    calls = world.suite_wecom.count(SUITE_TOKEN)
    await world.clock.advance(5 * SECOND)
    assert isinstance(await outcome(world.run(replica.engine.get(KEY))), SuiteTicketMissing)
    assert calls == world.suite_wecom.count(SUITE_TOKEN)

    await world.push(replica)

    assert (await world.run(replica.engine.get(KEY))).value


async def test_a_thousand_pushes_cost_no_fetch(world: ProviderWorld) -> None:
    replicas = await world.fleet(3)
    await world.push(replicas[0])
    await world.run(replicas[0].engine.get(KEY))
    calls = len(world.suite_wecom.calls)

    for number in range(1000):
        await world.push(replicas[number % 3])
    await settle()

    assert calls == len(world.suite_wecom.calls)
    assert 1 == world.suite_wecom.count(SUITE_TOKEN)


async def test_a_time_stamp_far_ahead_does_not_keep_out_later_tickets(world: ProviderWorld) -> None:
    replica = await world.start()
    odd = world.suite_wecom.push()
    await replica.core.suite_tickets.take(MARKET, odd.value, odd.at + timedelta(days=4000))
    await world.clock.advance(MINUTE)

    newer = world.suite_wecom.push()

    assert await replica.core.suite_tickets.take(MARKET, newer.value, newer.at)


async def test_a_refusal_of_the_ticket_before_the_newest_one_is_not_remembered(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    world.suite_wecom.fail(SUITE_TOKEN, lambda: SuiteTicketMissing("refused", errcode=40085))
    world.suite_wecom.delay = 2 * SECOND
    asking = asyncio.ensure_future(outcome(replica.engine.get(KEY)))
    await world.clock.advance(SECOND)

    await world.push(replica)
    await world.clock.advance(5 * SECOND)

    assert isinstance(asking.result(), Credential)


async def test_a_fleet_ten_minutes_ahead_of_wecom_may_miss_a_push(world: ProviderWorld) -> None:
    replica = await world.start()
    replica.clock.skew = 10 * MINUTE
    await world.push(replica)

    await world.clock.advance(25 * MINUTE)

    assert (await world.run(replica.engine.get(KEY))).value
