"""Each credential handed out is written down once for each caller and generation, and never its value."""

import asyncio
import contextvars
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from broker.domain.access import Action, Caller
from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import (
    BrokerError,
    CallerNotAllowed,
    InvalidRequest,
    QuotaReserved,
    Unauthenticated,
)
from broker.domain.people.sessions import Session
from broker.domain.people.users import User, UserKind
from broker.domain.secret import Secret
from broker.server.grpc.audit import records
from broker.server.grpc.audit.records import Audit, address_of
from broker.server.grpc.entry.identity import current_caller
from broker.usecases.audit.journal import AuditJournal
from broker.usecases.credentials.reports import ReportOutcome
from tests.kit.memory.audit_trail import MemoryTrail
from tests.kit.memory.fake_clock import FakeClock
from tests.unit.domain.credentials import NOON, credential
from tests.unit.server.fakes import Context
from tests.unit.telemetry.audit_records import Witness

ORDERS, REPORTS = Caller("orders"), Caller("reports")
SESSION = Session("s-1", "crm", "ww1child", "lisi", "", False, Secret("key-of-the-session"), NOON)
TARGET = AuditTarget("crm", "ww1child", "access_token")


class Certainty:
    """Randomness that is none."""

    def unguessable(self) -> str:
        return "made-up"


@dataclass
class World:
    """An `Audit`, and what it wrote."""

    clock: FakeClock
    trail: MemoryTrail
    witness: Witness
    audit: Audit

    @property
    def records(self) -> list[AuditRecord]:
        return self.trail.records

    def hand_out(self, caller: Caller, found: Credential, context: Context | None = None) -> None:
        self.call(caller, lambda given: self.audit(given, Action.TOKEN_GET, found), context)

    def call(self, caller: Caller, do: Any, context: Context | None = None) -> None:
        def call() -> None:
            current_caller.set(caller)
            do(context or Context())

        contextvars.copy_context().run(call)


@pytest.fixture
def world() -> World:
    clock, trail, witness = FakeClock(NOON), MemoryTrail(), Witness()
    randomness: Any = Certainty()
    return World(clock, trail, witness, Audit(AuditJournal(trail, witness, clock), clock, randomness))


def test_a_record_says_who_got_what_with_a_fingerprint_for_the_value(world: World) -> None:
    found = credential()
    world.hand_out(ORDERS, found)

    assert [
        AuditRecord(
            NOON,
            AuditOutcome.HANDED_OUT,
            caller="orders",
            peer="192.0.2.7",
            action="token.get",
            target=AuditTarget.of(found.key),
            generation=7,
            fingerprint=found.value.fingerprint(),
            request_id="made-up",
        )
    ] == world.records
    assert found.value.reveal() not in str(world.records)


def test_the_same_caller_and_generation_add_nothing(world: World) -> None:
    for _ in range(3):
        world.hand_out(ORDERS, credential())

    assert 1 == len(world.records)


def test_another_caller_generation_or_credential_is_another_record(world: World) -> None:
    found = credential()
    world.hand_out(ORDERS, found)
    world.hand_out(REPORTS, found)
    world.hand_out(ORDERS, replace(found, generation=8))
    world.hand_out(ORDERS, credential(key=CredentialKey("crm", "ww1child", 1000010, ShareKind.SUPPLY_CHAIN)))

    assert 4 == len(world.records)


def test_what_it_remembers_is_bounded_and_nothing_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_REMEMBERED", 3)
    for generation in range(1, 11):
        key = CredentialKey("crm", f"ww{generation % 5}child", 1000010, ShareKind.CORP_GROUP)
        world.hand_out(ORDERS, replace(credential(key=key), generation=generation))
        assert sum(map(len, world.audit._recorded.values())) <= 3

    assert list(range(1, 11)) == [record.generation for record in world.records]


def test_a_session_s_key_is_recorded_once_for_each_caller(world: World) -> None:
    for caller in (ORDERS, ORDERS, REPORTS):
        world.call(caller, lambda context: world.audit.session_key(context, SESSION))

    assert [("orders", "session_key"), ("reports", "session_key")] == [
        (record.caller, record.target.kind) for record in world.records
    ]
    assert {(SESSION.session_key.fingerprint(), "lisi")} == {
        (record.fingerprint, record.target.user_id) for record in world.records
    }


def test_a_user_s_ticket_is_recorded_where_there_is_one(world: World) -> None:
    for ticket in (None, Secret("ticket-of-the-user")):
        user = User("ww1child", "lisi", UserKind.CHILD_MEMBER, user_ticket=ticket)
        world.call(ORDERS, lambda context, user=user: world.audit.user_ticket(context, "crm", user))

    (record,) = world.records
    assert Secret("ticket-of-the-user").fingerprint() == record.fingerprint
    assert "identity.exchange" == record.action


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("6b1f-4711", "6b1f-4711"),
        ("r" * 128, "r" * 128),
        ("r" * 129, "made-up"),
        ("a b", "made-up"),
        ("a\nb", "made-up"),
        ("订单", "made-up"),
        ("", "made-up"),
        (b"bytes", "made-up"),
    ],
)
def test_the_caller_s_request_id_is_recorded_if_it_can_be_shown(
    world: World, given: str | bytes, recorded: str
) -> None:
    world.hand_out(ORDERS, credential(), Context([("user-agent", "grpc"), ("x-request-id", given)]))

    assert [recorded] == [record.request_id for record in world.records]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:50000", "192.0.2.7"),
        ("ipv6:%5B2001:db8::1%5D:50000", "2001:db8::1"),
        ("ipv6:[::1]:50000", "::1"),
        ("unix:", "unix"),
        ("unix:/run/broker.sock", "unix"),
        ("", ""),
    ],
)
def test_a_peer_is_an_address_without_a_port(peer: str, address: str) -> None:
    assert address == address_of(peer)


def refuse(world: World, caller: str, error: BrokerError) -> None:
    world.audit.refused(Context(), caller, Action.TOKEN_GET, "GetAccessToken", TARGET, error)


def test_a_refusal_is_recorded_and_told_and_repeats_are_summed(world: World) -> None:
    for _ in range(1000):
        refuse(world, "orders", CallerNotAllowed("the caller may not do this"))

    (record,) = world.records
    assert (
        AuditOutcome.REFUSED,
        "orders",
        "token.get",
        "GetAccessToken",
        TARGET,
        "CALLER_NOT_ALLOWED",
        1,
    ) == (
        record.outcome,
        record.caller,
        record.action,
        record.operation,
        record.target,
        record.reason,
        record.repeats,
    )
    assert world.records == world.witness.refused


async def test_sums_are_written_when_their_minute_is_over_and_at_the_end(world: World) -> None:
    journal = world.audit._journal
    summing = asyncio.create_task(journal.run())
    for _ in range(1000):
        refuse(world, "", Unauthenticated("no known client certificate and no bearer token"))
    await world.clock.advance(timedelta(minutes=1, seconds=1))
    refuse(world, "", Unauthenticated("no known client certificate and no bearer token"))
    summing.cancel()
    journal.close()

    assert [1, 999, 1] == [record.repeats for record in world.records]
    assert [("", "192.0.2.7")] * 3 == [(record.caller, record.peer) for record in world.records]


async def report(world: World, result: ReportOutcome | BrokerError) -> None:
    async def answer() -> tuple[ReportOutcome, Credential]:
        if isinstance(result, BrokerError):
            raise result
        return result, credential()

    def reporting() -> Awaitable[object]:
        return world.audit.reporting(
            Context(), Action.TOKEN_REPORT, "ReportInvalidToken", TARGET, 6, answer()
        )

    current_caller.set(ORDERS)
    if isinstance(result, BrokerError):
        with pytest.raises(type(result)):
            await reporting()
    else:
        assert (result, credential()) == await reporting()


@pytest.mark.parametrize("outcome", ReportOutcome)
async def test_each_report_is_recorded_with_its_caller_and_outcome(
    world: World, outcome: ReportOutcome
) -> None:
    await report(world, outcome)

    (record,) = world.records
    assert (AuditOutcome.REPORTED, "orders", "token.report", outcome.name, 6) == (
        record.outcome,
        record.caller,
        record.action,
        record.reason,
        record.generation,
    )
    assert AuditTarget.of(credential().key) == record.target


async def test_reports_that_made_wecom_give_something_are_recorded_one_by_one(world: World) -> None:
    for outcome in ReportOutcome:
        for _ in range(3):
            await report(world, outcome)

    reasons = [record.reason for record in world.records]
    assert 3 == reasons.count("ROTATED") == reasons.count("UNCHANGED")
    assert 1 == len({"ALREADY_ROTATED", "COOLING_DOWN"} & {*reasons}), "at most one a second"


async def test_a_report_that_failed_is_recorded_unless_nobody_looked_at_it(world: World) -> None:
    await report(world, QuotaReserved("the rest is kept"))
    await report(world, InvalidRequest("generation", "must be the generation of what WeCom refused"))
    await report(world, CallerNotAllowed("the caller may not do this"))

    assert ["QUOTA_RESERVED"] == [record.reason for record in world.records]


async def test_who_leaves_before_his_report_ends_is_recorded(world: World) -> None:
    async def never() -> tuple[ReportOutcome, Credential]:
        await asyncio.Event().wait()
        raise AssertionError("it returned")

    current_caller.set(ORDERS)
    call = asyncio.create_task(
        world.audit.reporting(Context(), Action.TOKEN_REPORT, "ReportInvalidToken", TARGET, 6, never())
    )
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert [("orders", "CANCELLED")] == [(record.caller, record.reason) for record in world.records]


def test_what_an_operator_does_is_recorded_each_time(world: World) -> None:
    for reason in ("", "", "SECRET_REJECTED"):
        world.call(
            ORDERS,
            lambda context, reason=reason: world.audit.operated(
                context, Action.ADMIN_REFRESH, "RefreshCredential", TARGET, reason
            ),
        )

    assert ["", "", "SECRET_REJECTED"] == [record.reason for record in world.records]
    assert {(AuditOutcome.OPERATED, "orders", "RefreshCredential")} == {
        (record.outcome, record.caller, record.operation) for record in world.records
    }
