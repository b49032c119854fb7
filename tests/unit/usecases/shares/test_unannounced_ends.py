"""A share that ended without an event: WeCom's refusal causes a listing, which decides, and is told."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKind
from broker.domain.errors import AppNotShared
from broker.domain.ports.passthrough import ApiAnswer, ApiCall, MediaHead
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.shares import AppShare, ListingKey
from broker.usecases.access_tokens import DEAD_TOKEN_CODES
from broker.usecases.api_calls import ApiCalls
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.shares.unannounced import LATE, MOST_REFUSED, MOST_TOLD
from broker.usecases.signing import Signing
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_SHARE,
    CHILD_TARGET,
    LIFETIME,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
DEAD = min(DEAD_TOKEN_CODES)
TICKET = CHILD.of_kind(CredentialKind.CORP_TICKET)
Way = Callable[[Replica], Awaitable[object]]
AGED = LIFETIME * 0.9
SEND = ApiCall("POST", "/cgi-bin/message/send", (), b"{}")


@pytest.fixture
async def fleet(world: EngineWorld, clock: FakeClock) -> list[Replica]:
    """Three replicas that hold the listing and the child's token, listed a minute ago."""
    replicas = await world.fleet(3)
    for replica in replicas:
        await world.run(replica.tokens.get(CHILD_TARGET))
    await clock.jump(60 * SECOND)
    return replicas


def not_shared() -> AppNotShared:
    return AppNotShared("not shared", errcode=670001)


def tokens(fleet: list[Replica]) -> list[Credential | None]:
    return [replica.memory.get(CHILD) for replica in fleet]


class Refusing:
    """WeCom's answer to calls in the child's name."""

    def __init__(self, errcode: int) -> None:
        self._errcode = errcode

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        return ApiAnswer(self._errcode, "refused", b"{}")

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        return ApiAnswer(self._errcode, "refused", b"{}"), ""

    async def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        raise not_shared()
        yield b""


async def report(replica: Replica) -> object:
    held = replica.memory.get(CHILD)
    assert held
    return await replica.tokens.report(CHILD_TARGET, held.generation, DEAD)


async def refresh(replica: Replica) -> object:
    return await replica.engine.refresh(CHILD)


async def renew_ahead(replica: Replica) -> object:
    renewal = replica.engine.renew_ahead(CHILD)
    assert renewal
    return await renewal


async def fetch_a_ticket(replica: Replica) -> object:
    return await replica.engine.get(TICKET)


async def use(replica: Replica) -> object:
    async def refused(token: Credential) -> None:
        raise not_shared()

    return await replica.engine.using(CHILD, refused)


async def pass_a_call_through(replica: Replica) -> object:
    calls = ApiCalls(replica.targets, replica.engine, Refusing(670001))
    answer = await calls.call(CHILD_TARGET, SEND)
    assert 670001 == answer.errcode
    return answer


async def upload_a_file(replica: Replica) -> object:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"text"

    calls = ApiCalls(replica.targets, replica.engine, Refusing(670001))
    answer, _ = await calls.upload(CHILD_TARGET, "file", MediaHead("a.txt", "text/plain", 4), chunks())
    assert 670001 == answer.errcode
    return answer


async def download_a_file(replica: Replica) -> object:
    calls = ApiCalls(replica.targets, replica.engine, Refusing(670001))
    return [piece async for piece in calls.download(CHILD_TARGET, "media-1")]


WAYS: list[Way] = [
    report,
    refresh,
    renew_ahead,
    fetch_a_ticket,
    use,
    pass_a_call_through,
    upload_a_file,
    download_a_file,
]
"""Whatever has WeCom answer 670001 for a child."""


@pytest.mark.parametrize("way", WAYS)
async def test_once_wecom_says_so_every_replica_refuses_the_childs_token_after_one_listing(
    world: EngineWorld,
    fleet: list[Replica],
    wecom: SimulatedWecom,
    clock: FakeClock,
    way: Way,
) -> None:
    wecom.fail(Endpoint.CORP_TICKET, not_shared)
    wecom.shares = []
    await clock.jump(AGED if way is renew_ahead else SECOND)
    await world.run(outcome(way(fleet[0])))
    await clock.advance(SECOND)

    assert [None] * 3 == tokens(fleet)
    assert 2 == wecom.count(Endpoint.SHARES)
    for replica in fleet:
        assert isinstance(await world.run(outcome(replica.tokens.get(CHILD_TARGET))), AppNotShared)


async def test_who_reports_is_answered_when_the_token_is_refused_already(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom
) -> None:
    wecom.shares = []
    assert isinstance(await world.run(outcome(report(fleet[1]))), AppNotShared)
    await settle()

    assert [None] * 3 == tokens(fleet)


async def test_who_reports_gets_the_token_under_the_agent_id_that_the_child_has_by_now(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom
) -> None:
    wecom.shares = [AppShare(ShareKind.CORP_GROUP, CHILD.corp_id, 8)]
    held = fleet[0].memory.get(CHILD)
    assert held
    told, token = await world.run(fleet[0].tokens.report(CHILD_TARGET, held.generation, DEAD))

    assert (ReportOutcome.ALREADY_ROTATED, 8) == (told, token.key.agent_id)


async def test_who_reports_a_signature_is_told_too(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    signing = Signing(fleet[0].targets, fleet[0].engine, clock, CountedChance())  # type: ignore[arg-type]
    ticket = await world.run(fleet[0].engine.get(TICKET))
    wecom.fail(Endpoint.CORP_TICKET, not_shared)
    wecom.shares = []
    refused = await world.run(outcome(signing.report(CHILD_TARGET, TICKET.kind, ticket.generation, 40093)))
    await settle()

    assert isinstance(refused, AppNotShared)
    assert [None] * 3 == tokens(fleet)


@pytest.mark.parametrize("way", WAYS)
async def test_a_spoilt_answer_takes_no_living_child_away(
    world: EngineWorld,
    fleet: list[Replica],
    wecom: SimulatedWecom,
    clock: FakeClock,
    way: Way,
) -> None:
    before = tokens(fleet)
    wecom.fail(Endpoint.CHILD_TOKEN, not_shared, times=1)
    wecom.fail(Endpoint.CORP_TICKET, not_shared, times=1)
    await clock.jump(AGED if way is renew_ahead else SECOND)
    await world.run(outcome(way(fleet[0])))
    await clock.advance(SECOND)

    assert before == tokens(fleet)
    for replica in fleet:
        assert before[0] == await world.run(replica.tokens.get(CHILD_TARGET))
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_a_caller_who_reports_a_living_token_causes_no_listing(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for replica in fleet:
        await world.run(report(replica))
        await clock.advance(SECOND)

    assert 1 == wecom.count(Endpoint.SHARES)


async def test_a_hundred_calls_refused_on_three_replicas_are_one_listing_a_cooldown(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for _ in range(20):
        await world.gather(*(pass_a_call_through(fleet[turn % 3]) for turn in range(100)))
        await clock.advance(SECOND)

    assert all(tokens(fleet))
    assert wecom.count(Endpoint.SHARES) <= 1 + 2


async def test_many_children_that_wecom_lists_and_refuses_are_listed_for_within_limits(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares += [AppShare(ShareKind.CORP_GROUP, f"ww-{number}", 100 + number) for number in range(40)]
    fleet = await world.fleet(3)
    targets = [Target("crm", share.corp_id) for share in wecom.shares]
    await world.gather(*(fleet[0].tokens.get(target) for target in targets))
    await clock.jump(60 * SECOND)

    for turn, target in enumerate(targets):
        replica = fleet[turn % 3]
        calls = ApiCalls(replica.targets, replica.engine, Refusing(670001))
        await world.run(calls.call(target, SEND))
        await clock.advance(SECOND / 5)

    assert wecom.count(Endpoint.SHARES) <= 1 + MOST_REFUSED


async def test_a_listing_that_fails_is_tried_again_until_it_decides(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares = []
    wecom.fail(Endpoint.SHARES, not_shared, times=1)
    await clock.jump(AGED)
    await world.run(outcome(renew_ahead(fleet[0])))
    await clock.advance(60 * SECOND)

    assert [None] * 3 == tokens(fleet)
    fleet[0].witness.failures.clear()


async def test_without_the_store_a_replica_lists_for_itself(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for replica in fleet:
        replica.store.cut()
    wecom.shares = []
    await world.run(outcome(report(fleet[0])))
    await clock.advance(5 * SECOND)

    assert fleet[0].memory.get(CHILD) is None
    assert CHILD_SHARE in fleet[1].shares.held(fleet[1].apps["crm"])


# --- operators are told


@pytest.fixture
async def called_back(world: EngineWorld) -> None:
    """WeCom calls back about the app, so its events say which shares end."""
    world.called_back.add("crm")


def untold(fleet: list[Replica]) -> list[tuple[str, list[str]]]:
    """Return what the fleet's observers were told, all together."""
    return [told for replica in fleet for told in replica.witness.unannounced]


def event(clock: FakeClock) -> Notice:
    moment = int(clock.now().timestamp() * 1000)
    return Notice(NoticeKind.APPENDED, ListingKey("crm", ShareKind.CORP_GROUP).name, moment)


@pytest.mark.usefixtures("called_back")
@pytest.mark.parametrize("way", [report, renew_ahead])
async def test_a_share_that_ended_without_an_event_is_told_once_by_the_fleet(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, way: Way
) -> None:
    wecom.shares = []
    await clock.jump(AGED if way is renew_ahead else SECOND)
    await world.run(outcome(way(fleet[0])))
    await clock.advance(LATE - SECOND)
    assert not untold(fleet)

    await clock.advance(2 * SECOND)
    assert [("crm", [CHILD.corp_id])] == untold(fleet)


@pytest.mark.usefixtures("called_back")
async def test_a_share_that_a_comparison_by_the_clock_misses_is_told_too(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for replica in fleet:
        replica.tasks.keep_running("reconciling shares", replica.sharing.reconciliation.run)
    wecom.shares = []
    await clock.advance(timedelta(seconds=660))

    assert [("crm", [CHILD.corp_id])] == untold(fleet)


@pytest.mark.usefixtures("called_back")
@pytest.mark.parametrize("after", [SECOND / 2, LATE / 2])
async def test_a_share_whose_event_comes_a_little_later_than_the_refusal_was_announced(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, after: timedelta
) -> None:
    wecom.shares = []
    await world.run(outcome(report(fleet[0])))
    await clock.advance(after)
    fleet[2].store._publish(event(clock))
    await clock.advance(2 * LATE)

    assert not untold(fleet)


@pytest.mark.usefixtures("called_back")
async def test_a_share_that_an_event_announced_is_not_told(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares = []
    fleet[1].store._publish(event(clock))
    await clock.advance(2 * LATE)

    assert [None] * 3 == tokens(fleet)
    assert not untold(fleet)


@pytest.mark.usefixtures("called_back")
async def test_what_a_replica_may_have_missed_while_its_store_was_away_is_not_told(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    fleet[0].store.cut()
    wecom.shares = []
    fleet[0].store.mend()
    await settle()
    await world.run(outcome(report(fleet[0])))
    await clock.advance(2 * LATE)

    assert not untold(fleet)


async def test_without_a_callback_no_event_can_be_missing(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares = []
    await world.run(outcome(report(fleet[0])))
    await clock.advance(2 * LATE)

    assert not untold(fleet)


@pytest.mark.usefixtures("called_back")
async def test_forged_notices_of_listings_that_nobody_has_fill_no_memory(
    fleet: list[Replica], clock: FakeClock
) -> None:
    ends = fleet[0].sharing.unannounced
    for number in range(MOST_TOLD + 100):
        ends.on_notice(replace(event(clock), name=f"shares:crm:corp_group:ww{number}"))

    assert len(ends._told_at) <= MOST_TOLD
