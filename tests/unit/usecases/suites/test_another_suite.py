"""A name that becomes another suite's: what the store has of the old one does not serve the new one."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import AppKind, Target
from broker.domain.credentials import CredentialKey
from broker.domain.errors import CorpNotAuthorized, SuiteTicketMissing, UnknownApp
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Suite
from broker.simulator import provider_demo as demo
from broker.simulator.world.suites.suite import Suite as SimulatedSuite
from broker.usecases.suites.backup import AuthorizationBackup, Restored
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import ACME, MARKET, SECOND, ProviderWorld
from tests.kit.memory.suite_wecom import AUTH_INFO, CORP_TOKEN, EXCHANGE, SUITE_TOKEN

HOUR = timedelta(hours=1)
LIVE_ID, LIVE_SECRET = "ww0a1b2c3d4e5f6071", "secret-of-the-live-suite"
LIVE = Suite("market", AppKind.THIRD_PARTY, LIVE_ID, Secret(LIVE_SECRET), ACME)
"""The suite that has the name of the other one afterwards."""
TOKEN = CredentialKey.suite_token(MARKET)


def catalog(suite: Suite) -> Catalog:
    return Catalog({}, {"market": suite}, {"acme": ACME})


def begin(world: ProviderWorld) -> None:
    """Let WeCom know both suites, and replicas that start have the first."""
    live = SimulatedSuite(LIVE_ID, LIVE_SECRET, demo.PROVIDER, name="live")
    world.suite_wecom.world.suites.add(live)
    world.catalog = catalog(MARKET)


def become(replica: Replica, suite: Suite) -> None:
    """Reload a file in which the name is that suite's."""
    replica.catalog.replace(catalog(suite))


async def start(world: ProviderWorld, suite: Suite) -> Replica:
    """Start a replica with a file in which the name is that suite's."""
    world.catalog = catalog(suite)
    return await world.start()


async def push(world: ProviderWorld, replica: Replica, suite: Suite) -> bool:
    pushed = world.suite_wecom.push(suite.suite_id)
    return await replica.core.suite_tickets.take(suite, pushed.value, pushed.at)


async def with_a_corp_of_the_first(world: ProviderWorld) -> tuple[Replica, Authorization]:
    """Start a replica with the first suite, which a corp authorises."""
    begin(world)
    replica = await world.start()
    await push(world, replica, MARKET)
    return replica, await world.authorize(replica)


def backup_of(replica: Replica) -> AuthorizationBackup:
    storage = replica.storage
    return AuthorizationBackup(
        replica.catalog.suites, storage.authorizations, storage.groups, storage.coordination, replica.clock
    )


async def left_by_an_older_broker(world: ProviderWorld) -> Authorization:
    """Return what is in the store of a corp of the first suite; no replica runs."""
    first, found = await with_a_corp_of_the_first(world)
    await first.close()
    make_older(world)
    return found


async def test_after_a_reload_the_new_suite_has_a_token_of_its_own(world: ProviderWorld) -> None:
    begin(world)
    replica = await world.start()
    await push(world, replica, MARKET)
    old = await world.run(replica.engine.get(TOKEN))

    become(replica, LIVE)
    await settle()
    assert isinstance(await world.run(outcome(replica.engine.get(TOKEN))), SuiteTicketMissing)
    assert await push(world, replica, LIVE)
    new = await world.run(replica.engine.get(TOKEN))

    assert 2 == world.suite_wecom.count(SUITE_TOKEN)
    assert old.value != new.value
    assert old.generation < new.generation


async def test_after_a_reload_no_corp_of_the_old_suite_has_authorised_the_new_one(
    world: ProviderWorld,
) -> None:
    replica, found = await with_a_corp_of_the_first(world)
    await world.run(replica.tokens.get(Target("market", found.corp_id)))
    assert await replica.core.suites.overview.list("market")

    become(replica, LIVE)
    await settle()
    await push(world, replica, LIVE)

    assert [] == await world.run(replica.core.suites.overview.list("market"))
    refused = await world.run(outcome(replica.tokens.get(Target("market", found.corp_id))))
    assert isinstance(refused, CorpNotAuthorized)
    assert 1 == world.suite_wecom.count(CORP_TOKEN)


async def test_rows_of_the_old_suite_are_gone_before_the_new_one_changes(world: ProviderWorld) -> None:
    begin(world)
    replica = await world.start()
    await push(world, replica, MARKET)
    await world.authorize(replica)
    overview = replica.core.suites.overview
    assert 1 == len(await overview.list("market"))

    become(replica, LIVE)
    await settle()

    assert [] == await world.run(overview.list("market"))


async def test_a_replica_that_starts_with_another_suite_begins_with_nothing(world: ProviderWorld) -> None:
    begin(world)
    first = await world.start()
    await push(world, first, MARKET)
    found = await world.authorize(first)
    await world.run(first.engine.get(TOKEN))
    await first.close()

    second = await start(world, LIVE)

    assert second.core.authorizations.get(found.key) is None
    assert isinstance(await world.run(outcome(second.engine.get(TOKEN))), SuiteTicketMissing)


async def test_the_old_suite_comes_back_with_its_corps(world: ProviderWorld) -> None:
    replica, found = await with_a_corp_of_the_first(world)

    become(replica, LIVE)
    await settle()
    become(replica, MARKET)
    await settle()

    assert found == replica.core.authorizations.get(found.key)


async def test_replicas_with_the_old_and_the_new_file_each_serve_their_own(world: ProviderWorld) -> None:
    begin(world)
    old = await world.start()
    await push(world, old, MARKET)
    new = await start(world, LIVE)
    await push(world, new, LIVE)

    tokens = [await world.run(replica.engine.get(TOKEN)) for replica in (old, new, old, new)]
    await settle()

    assert 2 == len({token.value.reveal() for token in tokens})
    assert tokens[0].value == tokens[2].value
    assert tokens[1].value == tokens[3].value
    assert 2 == world.suite_wecom.count(SUITE_TOKEN)


async def test_a_newer_ticket_of_the_old_suite_does_not_keep_one_of_the_new_suite_out(
    world: ProviderWorld,
) -> None:
    begin(world)
    old, new = await world.start(), await start(world, LIVE)
    pushed = world.suite_wecom.push(LIVE_ID)
    await world.clock.advance(SECOND)
    await push(world, old, MARKET)

    assert await new.core.suite_tickets.take(LIVE, pushed.value, pushed.at)

    assert await world.run(new.engine.get(TOKEN))
    late = await start(world, LIVE)
    assert pushed.value == (await late.core.suite_tickets.current(LIVE)).value


async def test_a_code_that_was_written_down_for_another_suite_is_exchanged_once_the_file_is_right(
    world: ProviderWorld,
) -> None:
    begin(world)
    replica = await world.start()
    code = world.suite_wecom.install(demo.PARENT, LIVE_ID)
    await world.take(replica, code)
    become(replica, LIVE)
    await settle()
    await push(world, replica, LIVE)
    await world.take(replica, code, LIVE)

    corp_id = world.suite_wecom.corp_id(demo.PARENT)
    await world.until(replica, LIVE, corp_id, AuthorizationState.ACTIVE)


async def test_replicas_with_the_old_file_leave_what_the_new_suite_has_got_in_the_store(
    world: ProviderWorld,
) -> None:
    old, before = await with_a_corp_of_the_first(world)
    await world.run(old.engine.get(TOKEN))
    new = await start(world, LIVE)
    await world.clock.advance(SECOND)
    pushed = world.suite_wecom.push(LIVE_ID)
    await new.core.suite_tickets.take(LIVE, pushed.value, pushed.at)
    await world.take(new, world.suite_wecom.install(demo.PARENT, LIVE_ID), LIVE)
    await world.until(new, LIVE, before.corp_id, AuthorizationState.ACTIVE)
    await world.clock.advance(5 * SECOND)
    after = new.core.authorizations.get(before.key)
    token = await world.run(new.engine.get(TOKEN))
    assert after

    assert after == await new.storage.authorizations.find(before.key)
    late = await start(world, LIVE)
    assert after == late.core.authorizations.get(before.key)
    assert pushed.value == (await late.core.suite_tickets.current(LIVE)).value
    assert token.value == (await world.run(late.engine.get(TOKEN))).value
    assert before.permanent_code != after.permanent_code


async def test_a_token_that_comes_after_the_reload_is_not_the_new_suites(world: ProviderWorld) -> None:
    begin(world)
    replica = await world.start()
    await push(world, replica, MARKET)
    world.suite_wecom.delay = SECOND
    asked = asyncio.ensure_future(outcome(replica.engine.get(TOKEN)))
    await settle()

    become(replica, LIVE)
    await world.clock.advance(2 * SECOND)

    assert isinstance(await asked, UnknownApp)
    assert replica.memory.get(TOKEN) is None
    assert TOKEN.name not in world.shared.records or not world.shared.records[TOKEN.name].payload


async def test_a_permanent_code_that_comes_after_the_reload_is_not_the_new_suites(
    world: ProviderWorld,
) -> None:
    begin(world)
    replica = await world.start()
    await push(world, replica, MARKET)
    await world.run(replica.engine.get(TOKEN))
    world.suite_wecom.delay = SECOND
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await settle()
    assert 1 == world.suite_wecom.count(EXCHANGE)

    become(replica, LIVE)
    await world.clock.advance(5 * SECOND)

    assert 1 == len(world.suite_wecom.exchanged)
    assert [] == replica.core.authorizations.of("market")
    assert [] == replica.core.installations.unfinished("market")


async def test_a_corp_authorises_the_new_suite_over_what_it_authorised_before(world: ProviderWorld) -> None:
    replica, before = await with_a_corp_of_the_first(world)

    become(replica, LIVE)
    await settle()
    await push(world, replica, LIVE)
    await world.take(replica, world.suite_wecom.install(demo.PARENT, LIVE_ID), LIVE)
    after = await world.until(replica, LIVE, before.corp_id, AuthorizationState.ACTIVE)

    assert before.permanent_code != after.permanent_code
    assert before.fence < after.fence
    late = await start(world, LIVE)
    found = late.core.authorizations.get(after.key)
    assert found
    assert after.permanent_code == found.permanent_code


async def test_a_code_got_without_the_store_takes_the_place_of_the_old_suites(world: ProviderWorld) -> None:
    old, before = await with_a_corp_of_the_first(world)
    new = await start(world, LIVE)
    await push(world, new, LIVE)
    await world.run(new.engine.get(TOKEN))

    def cut(path: str) -> None:
        if path == EXCHANGE:
            new.store.cut()

    world.suite_wecom.on_call = cut
    await world.take(new, world.suite_wecom.install(demo.PARENT, LIVE_ID), LIVE)
    await world.until(new, LIVE, before.corp_id, AuthorizationState.ACTIVE)
    await old.close()
    new.store.mend()
    await world.clock.advance(2 * SECOND)

    late = await start(world, LIVE)
    found = late.core.authorizations.get(before.key)
    assert found
    assert found.permanent_code not in (None, before.permanent_code)


def make_older(world: ProviderWorld) -> None:
    """Write whatever is in the store as an older broker did."""
    for name, record in world.shared.records.items():
        if record.payload:
            payload = json.loads(record.payload)
            payload.pop("identity", None)
            world.shared.records[name] = replace(record, payload=json.dumps(payload).encode())


async def test_what_an_older_broker_wrote_is_served(world: ProviderWorld) -> None:
    begin(world)
    first = await world.start()
    await push(world, first, MARKET)
    found = await world.authorize(first)
    token = await world.run(first.engine.get(TOKEN))
    await first.close()
    make_older(world)

    second = await world.start()

    assert token.value == (await world.run(second.engine.get(TOKEN))).value
    assert replace(found, identity="") == second.core.authorizations.get(found.key)


async def test_a_corp_of_an_older_broker_is_this_suites_once_wecom_takes_its_code(
    world: ProviderWorld,
) -> None:
    found = await left_by_an_older_broker(world)

    second = await world.start()
    await world.clock.advance(3 * HOUR)
    await push(world, second, MARKET)
    await world.run(second.tokens.get(Target("market", found.corp_id)))
    marked = second.core.authorizations.get(found.key)
    assert marked
    assert MARKET.suite_id == marked.identity

    become(second, LIVE)
    await settle()
    assert [] == second.core.authorizations.of("market")


async def test_a_corp_that_is_proved_without_the_store_undoes_nothing_that_others_wrote(
    world: ProviderWorld,
) -> None:
    found = await left_by_an_older_broker(world)
    cut_off, other = await world.start(), await world.start()
    await world.clock.advance(3 * HOUR)
    await push(world, cut_off, MARKET)
    await world.run(cut_off.engine.get(TOKEN))
    await settle()

    cut_off.store.cut()
    await other.core.authorizations.mark_sharing(found.key)
    await world.clock.advance(SECOND)
    await world.run(cut_off.tokens.get(Target("market", found.corp_id)))
    cut_off.store.mend()
    await world.clock.advance(5 * SECOND)

    for replica in (cut_off, other):
        held = replica.core.authorizations.get(found.key)
        assert held
        assert held.shares


async def test_a_corp_that_is_proved_after_the_reload_is_not_marked_for_the_old_suite(
    world: ProviderWorld,
) -> None:
    found = await left_by_an_older_broker(world)
    second = await world.start()
    await world.clock.advance(3 * HOUR)
    await push(world, second, MARKET)
    await world.run(second.engine.get(TOKEN))
    world.suite_wecom.delay = SECOND
    asked = asyncio.ensure_future(outcome(second.tokens.get(Target("market", found.corp_id))))
    await settle()

    become(second, LIVE)
    await world.clock.advance(5 * SECOND)

    assert isinstance(await asked, UnknownApp)
    assert [] == second.witness.damage
    assert [""] == [held.identity for held in second.core.authorizations.of("market")]


async def test_a_stale_corp_of_an_older_broker_is_read_once(world: ProviderWorld) -> None:
    first, found = await with_a_corp_of_the_first(world)
    await first.core.authorizations.change(
        found.key, lambda present: present and replace(present, is_stale=True, cancelled_at=world.clock.now())
    )
    await first.close()
    make_older(world)
    calls = world.suite_wecom.count(AUTH_INFO)

    await world.clock.advance(3 * HOUR)
    second = await world.start()
    await push(world, second, MARKET)
    await world.clock.advance(HOUR)

    [read] = second.core.authorizations.of("market")
    assert (MARKET.suite_id, False, None) == (read.identity, read.is_stale, read.cancelled_at)
    assert calls + 1 == world.suite_wecom.count(AUTH_INFO)


async def test_a_corrected_corp_id_of_the_provider_costs_no_permanent_code(world: ProviderWorld) -> None:
    replica, found = await with_a_corp_of_the_first(world)

    corrected = replace(ACME, corp_id="ww-corrected")
    replica.catalog.replace(Catalog({}, {"market": replace(MARKET, provider=corrected)}, {"acme": corrected}))
    await settle()

    assert found == replica.core.authorizations.get(found.key)


async def test_a_backup_of_the_old_suite_is_not_put_back_for_the_new_one(world: ProviderWorld) -> None:
    replica, found = await with_a_corp_of_the_first(world)
    become(replica, LIVE)
    backup = backup_of(replica)

    assert [] == await backup.taken()
    assert Restored.UNKNOWN_SUITE is await backup.restore(found, force=True)


@pytest.mark.parametrize("force", [False, True])
async def test_a_backup_takes_the_place_of_what_a_suite_that_had_the_name_meanwhile_wrote(
    world: ProviderWorld, force: bool
) -> None:
    replica, found = await with_a_corp_of_the_first(world)
    become(replica, LIVE)
    await settle()
    await push(world, replica, LIVE)
    await world.take(replica, world.suite_wecom.install(demo.PARENT, LIVE_ID), LIVE)
    await world.until(replica, LIVE, found.corp_id, AuthorizationState.ACTIVE)
    become(replica, MARKET)
    await settle()
    assert replica.core.authorizations.get(found.key) is None

    assert Restored.WRITTEN is await world.run(backup_of(replica).restore(found, force=force))
    held = await world.until(replica, MARKET, found.corp_id, AuthorizationState.ACTIVE)
    assert (found.permanent_code, MARKET.suite_id) == (held.permanent_code, held.identity)
    assert await world.run(replica.tokens.get(Target("market", found.corp_id)))
