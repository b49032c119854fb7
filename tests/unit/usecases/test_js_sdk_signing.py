"""Signatures for pages: whose ticket, how fresh, how cheap."""

from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKind
from broker.domain.errors import AmbiguousTarget, AppNotShared, BrokerError, InvalidRequest, UnknownApp
from broker.domain.shares import AppShare
from broker.protocol.js_sdk import sign_url
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.signing import Signing
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_SHARE,
    CHILD_TARGET,
    CRM,
    OWN_TARGET,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

URL = "https://crm.example.com/orders?id=1"
CORP, AGENT = CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET


def signing_of(replica: Replica) -> Signing:
    return Signing(replica.targets, replica.engine, replica.clock, CountedChance())


@pytest.fixture
def signing(replica: Replica) -> Signing:
    return signing_of(replica)


def count_reaches(replica: Replica) -> list[None]:
    """Return a list that grows with each call of the store."""
    reaches: list[None] = []
    reach = replica.store._reach

    async def counted() -> None:
        reaches.append(None)
        await reach()

    replica.store._reach = counted
    return reaches


async def test_a_childs_page_is_signed_with_the_childs_tickets_and_names_the_child(
    world: EngineWorld, clock: FakeClock, replica: Replica, signing: Signing
) -> None:
    config, agent = await world.run(signing.sign_page(CHILD_TARGET, f"{URL}#/top"))

    for signature, kind in ((config, CORP), (agent, AGENT)):
        ticket = await replica.engine.get(CHILD.of_kind(kind))
        made = sign_url(ticket.value, signature.nonce, signature.timestamp, URL)
        assert (CHILD.corp_id, CHILD.agent_id, ticket.generation, made) == (
            signature.corp_id,
            signature.agent_id,
            signature.generation,
            signature.signature,
        )


async def test_an_own_page_names_the_apps_own_corp(world: EngineWorld, signing: Signing) -> None:
    config, agent = await world.run(signing.sign_page(OWN_TARGET, URL))

    own = (CRM.corp_id, CRM.agent_id)
    assert [own, own] == [(signature.corp_id, signature.agent_id) for signature in (config, agent)]


async def test_the_tickets_of_two_corps_and_of_two_kinds_are_four_tickets(
    world: EngineWorld, wecom: SimulatedWecom, signing: Signing
) -> None:
    for _ in range(3):
        for target in (OWN_TARGET, CHILD_TARGET):
            await world.run(signing.sign_page(target, URL))

    assert (2, 2) == (wecom.count(Endpoint.CORP_TICKET), wecom.count(Endpoint.AGENT_TICKET))


async def test_each_signature_has_a_nonce_of_its_own_and_the_clocks_time_in_seconds(
    world: EngineWorld, clock: FakeClock, signing: Signing
) -> None:
    nonces, moments = set(), []
    for _ in range(5):
        signatures = await world.run(signing.sign_page(CHILD_TARGET, URL))
        nonces |= {signature.nonce for signature in signatures}
        moments.append({signature.timestamp for signature in signatures} == {int(clock.now().timestamp())})
        await clock.advance(timedelta(seconds=61))

    assert 10 == len(nonces)
    assert [True] * 5 == moments


async def test_a_warm_signature_asks_neither_the_store_nor_wecom(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, signing: Signing
) -> None:
    await world.run(signing.sign_page(CHILD_TARGET, URL))
    calls, reaches = wecom.count(), count_reaches(replica)
    for number in range(100):
        await signing.sign_page(CHILD_TARGET, f"{URL}&page={number}")

    assert (calls, 0) == (wecom.count(), len(reaches))


async def test_a_ticket_that_died_is_fetched_once_however_many_replicas_report_it(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    replicas = await world.fleet(3)
    signings = [signing_of(replica) for replica in replicas]
    signed = [(await world.run(signing.sign_page(CHILD_TARGET, URL)))[1] for signing in signings]
    reports = await world.gather(
        *(
            signings[turn % 3].report(CHILD_TARGET, AGENT, signed[turn % 3].generation, 42012)
            for turn in range(30)
        )
    )
    again = [(await world.run(signing.sign_page(CHILD_TARGET, URL)))[1] for signing in signings]

    assert 1 == len({signature.generation for signature in signed})
    assert 1 == len({signature.generation for signature in again} - {signed[0].generation})
    assert (1, 2) == (wecom.count(Endpoint.CORP_TICKET), wecom.count(Endpoint.AGENT_TICKET))
    assert {ReportOutcome.ROTATED, ReportOutcome.ALREADY_ROTATED} >= {found for found, _ in reports}


async def test_a_report_of_an_older_ticket_changes_nothing(
    world: EngineWorld, clock: FakeClock, wecom: SimulatedWecom, signing: Signing
) -> None:
    old, _ = await world.run(signing.sign_page(CHILD_TARGET, URL))
    await world.run(signing.report(CHILD_TARGET, CORP, old.generation, 40093))
    await clock.advance(timedelta(minutes=5))
    late, _ = await world.run(signing.report(CHILD_TARGET, CORP, old.generation, 40093))

    assert (ReportOutcome.ALREADY_ROTATED, 2) == (late, wecom.count(Endpoint.CORP_TICKET))


@pytest.mark.parametrize("errcode", [0, 40093, 42012])
async def test_a_report_says_what_a_page_is_told(world: EngineWorld, signing: Signing, errcode: int) -> None:
    config, _ = await world.run(signing.sign_page(CHILD_TARGET, URL))
    found, _ = await world.run(signing.report(CHILD_TARGET, CORP, config.generation, errcode))

    assert ReportOutcome.ROTATED == found


@pytest.mark.parametrize(
    ("field", "generation", "errcode"),
    [("generation", 0, 42012), ("generation", -1, 0), ("errcode", 1, 40014), ("errcode", 1, 45009)],
)
async def test_a_report_of_something_else_is_refused_by_field(
    world: EngineWorld, wecom: SimulatedWecom, signing: Signing, field: str, generation: int, errcode: int
) -> None:
    refused = await world.run(outcome(signing.report(CHILD_TARGET, AGENT, generation, errcode)))

    assert isinstance(refused, InvalidRequest)
    assert (field, 0) == (refused.metadata["field"], wecom.count())


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (Target("nobody"), UnknownApp),
        (Target("crm", "ww-stranger"), AppNotShared),
        (Target("crm", "ww-child"), AmbiguousTarget),
        (Target("crm", agent_id=5), InvalidRequest),
    ],
)
async def test_what_is_wrong_with_a_target_is_told_as_for_a_token(
    world: EngineWorld, wecom: SimulatedWecom, signing: Signing, target: Target, error: type[BrokerError]
) -> None:
    wecom.shares.append(AppShare(ShareKind.SUPPLY_CHAIN, CHILD_SHARE.corp_id, 8))
    both = CRM.__class__(
        CRM.name,
        CRM.kind,
        CRM.corp_id,
        CRM.agent_id,
        CRM.secret,
        (ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN),
    )
    replica = await world.start(apps=[both])
    sign = await world.run(outcome(signing_of(replica).sign_page(target, URL)))
    report = await world.run(outcome(signing_of(replica).report(target, AGENT, 1, 42012)))

    assert [error, error] == [type(sign), type(report)]
    assert 0 == wecom.count(Endpoint.AGENT_TICKET)


async def test_a_url_is_refused_before_anything_is_asked(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, signing: Signing
) -> None:
    reaches = count_reaches(replica)
    refused = await outcome(signing.sign_page(CHILD_TARGET, "ftp://crm.example.com/"))

    assert isinstance(refused, InvalidRequest)
    assert ("url", 0, 0) == (refused.metadata["field"], len(reaches), wecom.count())
